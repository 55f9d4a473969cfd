//! A sign on every door: what a room is, what comes in and goes out, what it owns and never does.

use super::text::{all_well, files, read, root, shown};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What every sign says, in any order of lines.
const SAYS: &[&str] = &[
    "*Comes in*",
    "*Goes out*",
    "*Owns*",
    "*Never*",
    "*Before / After*",
];

/// Crates whose folders are rooms.
const CRATES: &[&str] = &["contract", "evidence", "orchestrator", "worker"];

fn doors() -> Vec<PathBuf> {
    let mut doors = Vec::new();
    for krate in CRATES {
        doors.extend(files(&root().join(krate).join("src"), "mod.rs"));
    }
    assert!(doors.len() > 35, "only {} doors were found", doors.len());
    doors
}

/// The sign: the file's opening comment.
fn sign(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_room_has_a_whole_sign() {
    let mut wrong = Vec::new();
    for door in doors() {
        let name = shown(&door);
        let sign = sign(&read(&door));
        let missing: Vec<&str> = SAYS
            .iter()
            .copied()
            .filter(|part| !sign.contains(&format!("{part}:")))
            .collect();
        let says_what_it_is = sign.find("*Comes in*").is_some_and(|at| at > 10);
        if !says_what_it_is {
            wrong.push(format!("{name} does not say what it is"));
        }
        if !missing.is_empty() {
            wrong.push(format!("{name} does not say {}", missing.join(", ")));
        }
    }
    all_well("a sign on every door", &wrong);
}

/// Which rooms say that they own a table, by table.
pub fn owned_tables(tables: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let src = root().join("orchestrator/src");
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for door in files(&src, "mod.rs") {
        let sign = sign(&read(&door));
        let room = door.strip_prefix(&src).expect("below src");
        let room = room.iter().next().unwrap_or_default().to_string_lossy();
        let owns = between(&sign, "*Owns*:", "*Never*:");
        for word in owns.split('`').skip(1).step_by(2) {
            if tables.contains(word) {
                let of = owners.entry(word.to_owned()).or_default();
                of.insert(room.clone().into_owned());
            }
        }
    }
    owners
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(from) else {
        return "";
    };
    rest.split_once(to).map_or(rest, |(part, _)| part)
}
