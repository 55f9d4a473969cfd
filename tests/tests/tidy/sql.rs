//! SQL stands in a room's `store.rs` and, where that is long, in the files of its `store/`, and touches the
//! tables of its own room.

use super::signs::owned_tables;
use super::text::{all_well, files, product, read, root};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// Words by which SQL is spoken.
const SPOKEN: &str = r#"sqlx::|\b(execute|fetch_all|fetch_one|fetch_optional)!|"\s*(SELECT|INSERT|UPDATE|DELETE|WITH) "#;

/// Tables of another room that a room's `store.rs` touches: room, table, why. The list only shrinks.
const WRITES: &[(&str, &str, &str)] = &[
    (
        "run",
        "trigger",
        "a trigger is consumed in the transaction that makes its run",
    ),
    (
        "run",
        "project",
        "takes the next `run_number`, in the transaction that makes the run",
    ),
    (
        "image",
        "run",
        "a good run is consumed in the transaction that makes its release",
    ),
];

/// As above, for reading: facts of earlier rooms that a stage finds its work by.
const READS: &[(&str, &str, &str)] = &[
    ("trigger", "delivery", "finds accepted deliveries that wait"),
    (
        "trigger",
        "run",
        "a list of triggers shows the run that each became",
    ),
    ("run", "trigger", "finds triggers that say start"),
    ("run", "delivery", "what started the run"),
    ("run", "hook", "whose pusher counts"),
    ("run", "project", "numbers and names"),
    (
        "run",
        "step",
        "finds runs whose steps are not made yet or have all ended",
    ),
    (
        "step",
        "run",
        "finds runs that wait for their steps; a claim shows its run",
    ),
    ("step", "project", "limits of parallel steps"),
    ("step", "worker", "who holds a lease"),
    ("image", "step", "finds reported builds"),
    ("image", "report", "what a build claims to have pushed"),
    ("image", "run", "finds finished runs, for their release"),
    ("finding", "step", "finds reported steps"),
    ("finding", "report", "how a tool ended"),
    ("finding", "artifact", "the stored bytes of reports"),
    ("finding", "image", "which image a scan was of"),
    ("finding", "release", "what is open for a release"),
    ("finding", "release_image", "what is open for a release"),
    ("attestation", "release", "finds releases"),
    (
        "attestation",
        "release_image",
        "which images are to be signed",
    ),
    ("attestation", "image", "their digests and repositories"),
    (
        "attestation",
        "project",
        "names the project in the provenance",
    ),
    ("attestation", "run", "what the provenance says of the run"),
    (
        "attestation",
        "step",
        "what the provenance says of the build",
    ),
    ("attestation", "report", "what the worker said of the build"),
    ("attestation", "worker", "how much of that may be believed"),
    (
        "attestation",
        "log_chunk",
        "the log's digest in the provenance",
    ),
    ("attestation", "sbom", "the statement's predicate"),
    ("gate", "run", "how the run ended, who pushed"),
    ("gate", "run_wish", "who ran it again"),
    ("gate", "attestation", "whether provenance is published"),
    ("gate", "signature", "whether the image is signed"),
    (
        "gate",
        "email",
        "whose the addresses of all contributors are, in one question",
    ),
    (
        "promotion",
        "release",
        "which releases wait for an environment",
    ),
    ("promotion", "run", "names the run that a release is of"),
    ("promotion", "attestation", "what is copied along"),
];

/// Rooms that read every table, and write none: lists for people go across the stages.
const READERS: &[&str] = &["history"];

/// A table that the DDL has and nobody owns yet.
const WITHOUT_OWNER: &[(&str, &str)] = &[];

#[test]
fn sql_stands_in_store_files_only() {
    let spoken = Regex::new(SPOKEN).unwrap();
    let mut stores = 0;
    let mut wrong = Vec::new();
    for source in product("orchestrator") {
        // `db/` is the machinery that store files speak through.
        if source.room() == "db" {
            continue;
        }
        let speaks = spoken.find(&source.code);
        if source.is_store() {
            stores += 1;
            assert!(speaks.is_some(), "{} speaks no SQL", source.path);
        } else if let Some(found) = speaks {
            wrong.push(format!("{}: {}", source.path, found.as_str().trim()));
        }
    }
    assert!(stores >= 20, "only {stores} stores were seen");
    all_well("SQL only in store.rs", &wrong);
}

/// What one room does to tables: (room, table) and whether it writes.
fn touched() -> BTreeMap<(String, String), bool> {
    let tables = tables();
    let verbs = Regex::new(r"\b(FROM|JOIN|INTO|UPDATE|TABLE)\s+\\?\s*([a-z_]+)").unwrap();
    let deletes = Regex::new(r"\bDELETE\s+FROM\s+([a-z_]+)").unwrap();
    let mut touched = BTreeMap::new();
    for source in product("orchestrator") {
        if !source.is_store() {
            continue;
        }
        let mut note = |table: &str, writes: bool| {
            if tables.contains(table) {
                let key = (source.room().to_owned(), table.to_owned());
                *touched.entry(key).or_insert(false) |= writes;
            }
        };
        for found in verbs.captures_iter(&source.code) {
            note(&found[2], matches!(&found[1], "INTO" | "UPDATE"));
        }
        for found in deletes.captures_iter(&source.code) {
            note(&found[1], true);
        }
    }
    touched
}

/// The tables of the DDL.
fn tables() -> BTreeSet<String> {
    let made = Regex::new(r"CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)").unwrap();
    let mut tables = BTreeSet::new();
    for file in files(&root().join("migrations/sqlite"), ".sql") {
        let text = read(&file);
        tables.extend(made.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    tables
}

#[test]
fn a_store_touches_the_tables_of_its_own_room() {
    let owners = owned_tables(&tables());
    let touched = touched();
    let mut wrong = Vec::new();
    let (mut writes_used, mut reads_used) = (BTreeSet::new(), BTreeSet::new());
    for ((room, table), writes) in &touched {
        if owners.get(table).is_some_and(|rooms| rooms.contains(room)) {
            continue;
        }
        if READERS.contains(&room.as_str()) && !*writes {
            continue;
        }
        let listed =
            |list: &[(&str, &str, &str)]| list.iter().any(|(r, t, _)| r == room && t == table);
        if *writes {
            if !listed(WRITES) {
                wrong.push(format!("{room} writes `{table}`"));
            }
            writes_used.insert((room.as_str(), table.as_str()));
        }
        if listed(READS) {
            reads_used.insert((room.as_str(), table.as_str()));
        } else if !*writes {
            wrong.push(format!("{room} reads `{table}`"));
        }
    }
    for (room, table, _) in WRITES {
        if !writes_used.contains(&(*room, *table)) {
            wrong.push(format!("no longer needed: {room} writes `{table}`"));
        }
    }
    for (room, table, _) in READS {
        if !reads_used.contains(&(*room, *table)) {
            wrong.push(format!("no longer needed: {room} reads `{table}`"));
        }
    }
    all_well(
        "a store.rs touches its own tables, or a listed one with a reason",
        &wrong,
    );
}

#[test]
fn every_table_has_its_owner_on_a_sign() {
    let tables = tables();
    let owners = owned_tables(&tables);
    let mut wrong = Vec::new();
    for table in &tables {
        let excused = WITHOUT_OWNER.iter().any(|(t, _)| t == table);
        match (owners.contains_key(table), excused) {
            (false, false) => wrong.push(format!("nobody owns `{table}`")),
            (true, true) => wrong.push(format!("no longer needed: `{table}` has an owner")),
            (true, false) | (false, true) => {}
        }
    }
    all_well("every table is owned by a room whose sign says so", &wrong);
}
