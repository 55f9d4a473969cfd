//! The page about the API names every code and every endpoint, and no others.

use super::text::{all_well, read, root};
use orchestrator::http::problem::Code;
use regex::Regex;
use std::collections::BTreeSet;
use tests::routes;

fn page() -> String {
    read(&root().join("docs/api.md"))
}

#[test]
fn every_code_of_a_problem_is_in_the_page_with_its_status() {
    let page = page();
    let row = Regex::new(r"(?m)^\| `([a-z-]+)` \| (\d{3}) \| .{10,} \|$").unwrap();
    let said: BTreeSet<(String, u16)> = row
        .captures_iter(&page)
        .map(|found| (found[1].to_owned(), found[2].parse().unwrap()))
        .collect();
    let known: BTreeSet<(String, u16)> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status().as_u16()))
        .collect();
    let wrong: Vec<String> = known
        .symmetric_difference(&said)
        .map(|(code, status)| format!("`{code}` {status}"))
        .collect();
    all_well(
        "docs/api.md and http/problem.rs list the same codes",
        &wrong,
    );
}

#[test]
fn every_endpoint_for_programs_is_in_the_page() {
    let page = page();
    let row = Regex::new(r"(?m)^\| `([A-Z]+) (/[^`]+)` \|").unwrap();
    let said: BTreeSet<(String, String)> = row
        .captures_iter(&page)
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    let programs = [
        "/api/",
        "/hooks/",
        "/registry/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs/",
    ];
    let known: BTreeSet<(String, String)> = routes::all()
        .into_iter()
        .filter(|route| programs.iter().any(|start| route.path.starts_with(start)))
        .map(|route| (route.method, route.path))
        .collect();
    let wrong: Vec<String> = known
        .symmetric_difference(&said)
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    all_well(
        "docs/api.md and http/router.rs list the same endpoints",
        &wrong,
    );
}
