//! Which crate may use which library.

use super::text::{all_well, files, product, read, root, shown};

/// Files of the worker that speak to the engine.
const ENGINE_ROOMS: &[&str] = &["engine", "sandbox", "image"];

/// Crates of the repository, without `tests`, which may use every library.
const CRATES: &[&str] = &[
    "contract",
    "evidence",
    "orchestrator",
    "worker",
    "pod",
    "xtask",
];

fn declares(krate: &str, library: &str) -> bool {
    let manifest = read(&root().join(krate).join("Cargo.toml"));
    let dependencies = manifest
        .split_once("[dependencies]")
        .map_or("", |(_, rest)| rest);
    dependencies
        .lines()
        .any(|line| line.split(['=', '.', ' ']).next() == Some(library))
}

#[test]
fn the_database_and_the_web_are_the_orchestrators_and_the_engine_is_the_workers() {
    let rules = [
        ("sqlx", "orchestrator"),
        ("axum", "orchestrator"),
        ("bollard", "worker"),
    ];
    let mut wrong = Vec::new();
    for (library, owner) in rules {
        assert!(declares(owner, library), "{owner} uses {library}");
        for krate in CRATES.iter().filter(|krate| **krate != owner) {
            if declares(krate, library) {
                wrong.push(format!(
                    "{krate} depends on {library}, which is the {owner}'s"
                ));
            }
        }
    }
    for (krate, other) in [("orchestrator", "worker"), ("worker", "orchestrator")] {
        if declares(krate, other) {
            wrong.push(format!(
                "{krate} depends on {other}: they never see each other"
            ));
        }
    }
    for other in [
        "evidence",
        "orchestrator",
        "worker",
        "tokio",
        "axum",
        "sqlx",
        "reqwest",
    ] {
        if declares("contract", other) {
            wrong.push(format!("contract depends on {other}"));
        }
    }
    all_well("who uses which library", &wrong);
}

#[test]
fn the_engine_is_spoken_to_from_three_rooms() {
    let wrong: Vec<String> = product("worker")
        .iter()
        .filter(|source| source.code.contains("bollard"))
        .filter(|source| !ENGINE_ROOMS.contains(&source.room()))
        .map(|source| source.path.clone())
        .collect();
    all_well("bollard only in worker/src/{engine,sandbox,image}", &wrong);
}

#[test]
fn no_folder_is_a_drawer_for_everything() {
    let drawers = [
        "utils", "util", "common", "helpers", "helper", "manager", "service", "misc",
    ];
    let mut wrong = Vec::new();
    for krate in CRATES {
        for file in files(&root().join(krate), ".rs") {
            let name = shown(&file);
            if name
                .trim_end_matches(".rs")
                .split('/')
                .any(|part| drawers.contains(&part))
            {
                wrong.push(name);
            }
        }
    }
    all_well("no utils, common, helpers, manager or service", &wrong);
}
