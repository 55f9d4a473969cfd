//! The page for operators names every key of every configuration and every metric, and no others.

use super::text::{all_well, read, root};
use regex::Regex;
use std::collections::BTreeSet;

fn page() -> String {
    read(&root().join("docs/operations.md"))
}

fn part<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, rest) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n##").next().unwrap_or_default()
}

/// The keys of a struct whose words are kebab-case.
fn keys(text: &str, name: &str) -> Vec<String> {
    let (_, rest) = text
        .split_once(&format!("struct {name} {{"))
        .unwrap_or_else(|| panic!("no {name}"));
    let body = rest.split("\n}").next().unwrap_or_default();
    let field = Regex::new(r"(?m)^    (?:pub )?([a-z_]+):").unwrap();
    field
        .captures_iter(body)
        .map(|found| found[1].replace('_', "-"))
        .collect()
}

#[test]
fn every_key_of_a_configuration_is_in_the_page() {
    let page = page();
    let files = [
        (
            "### sallyport.toml",
            "orchestrator/src/config.rs",
            &[
                ("Server", "server"),
                ("WorkerEntrance", "worker"),
                ("Database", "database"),
                ("Signer", "signer"),
                ("Registry", "registry"),
                ("Tools", "tools"),
                ("MasterKey", "master-key"),
                ("Log", "log"),
            ][..],
        ),
        (
            "### signer.toml",
            "orchestrator/src/signing/signer.rs",
            &[("SignerSection", "signer")][..],
        ),
        (
            "### worker.toml",
            "worker/src/config.rs",
            &[
                ("WorkerConfig", "worker"),
                ("OrchestratorConfig", "orchestrator"),
                ("Log", "log"),
            ][..],
        ),
        (
            "### worker.toml",
            "worker/src/engine/config.rs",
            &[("Config", "engine")][..],
        ),
        (
            "### engine.toml",
            "worker/src/engine_host/config.rs",
            &[("Config", "engine-host")][..],
        ),
        (
            "### engine.toml",
            "worker/src/config.rs",
            &[("Log", "log")][..],
        ),
    ];
    let mut wrong = Vec::new();
    for (heading, file, sections) in files {
        let (text, part) = (read(&root().join(file)), part(&page, heading));
        for (name, section) in sections {
            let keys = keys(&text, name);
            assert!(!keys.is_empty(), "{name} of {file} has no keys");
            for key in keys {
                let alone = part.contains(&format!("`[{section}] {key}`"));
                // `[tools] hadolint`, `gitleaks`, …: one row for several keys of a section.
                let row = part.lines().find(|line| {
                    line.contains(&format!("`[{section}] ")) && line.contains(&format!("`{key}`"))
                });
                if !alone && row.is_none() {
                    wrong.push(format!("{heading} does not name [{section}] {key}"));
                }
            }
        }
    }
    all_well("every key in docs/operations.md", &wrong);
}

#[test]
fn every_metric_is_in_the_page_and_named_as_metrics_are() {
    let text = read(&root().join("orchestrator/src/metrics.rs"));
    let made = Regex::new(r#"r\s*\.(?:add|made)\(\s*"([a-z_]+)""#).unwrap();
    let made: BTreeSet<String> = made
        .captures_iter(&text)
        .map(|found| format!("sallyport_{}", &found[1]))
        .collect();
    assert!(made.len() > 15, "only {} metrics were found", made.len());
    let page = page();
    let row = Regex::new(r"(?m)^\| `(sallyport_[a-z_]+)` \| (?:counter|gauge|histogram) \| .+ \|$")
        .unwrap();
    let said: BTreeSet<String> = row
        .captures_iter(part(&page, "## Metrics"))
        .map(|found| found[1].to_owned())
        .collect();
    let wrong: Vec<&String> = made.symmetric_difference(&said).collect();
    assert!(
        wrong.is_empty(),
        "in one of docs/operations.md and metrics.rs only: {wrong:?}"
    );
    let rooms = [
        "delivery",
        "trigger",
        "run",
        "step",
        "promotion",
        "reconcile",
        "db",
        "registry",
        "signing",
        "process",
    ];
    let of_room = |name: &String| {
        rooms
            .iter()
            .any(|room| name.starts_with(&format!("sallyport_{room}_")))
    };
    let wrong: Vec<&String> = made.iter().filter(|name| !of_room(name)).collect();
    assert!(
        wrong.is_empty(),
        "sallyport_<room>_<what>_<unit>: {wrong:?}"
    );
}
