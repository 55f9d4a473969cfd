//! The dependency map: imports point upstream, towards facts already written.

use super::text::{Source, all_well, product, read, root};
use std::collections::BTreeSet;

/// What stands on nothing but itself.
const MACHINERY: &[&str] = &[
    "clock",
    "id",
    "network",
    "ground",
    "kill",
    "db",
    "reconcile",
    "metrics",
    "telemetry",
    "lifecycle",
    "config",
];
/// They reach out into the world, and know no room.
const HANDS: &[&str] = &["blob", "registry", "source", "vault", "signing"];
/// They serve every stage, and name none.
const SIDE_ROOMS: &[&str] = &[
    "audit", "identity", "fleet", "approval", "instance", "project",
];
/// In the order of the flow: each may name those before it.
const STAGES: &[&str] = &[
    "delivery",
    "trigger",
    "run",
    "step",
    "image",
    "finding",
    "attestation",
    "gate",
    "promotion",
];
/// They read across the stages, for people; no stage names them.
const READERS: &[&str] = &["history"];
/// The whole: may name every room, and no room names it.
const WHOLE: &[&str] = &["app", "flow", "http", "cli"];

/// What a room may name besides itself.
fn may_name(room: &str) -> Vec<&'static str> {
    let mut may: Vec<&str> = MACHINERY.to_vec();
    if MACHINERY.contains(&room) {
        return may;
    }
    may.extend(HANDS);
    if HANDS.contains(&room) {
        return may;
    }
    may.extend(SIDE_ROOMS);
    if SIDE_ROOMS.contains(&room) {
        return may;
    }
    if let Some(at) = STAGES.iter().position(|stage| *stage == room) {
        may.extend(&STAGES[..at]);
        return may;
    }
    may.extend(STAGES);
    if READERS.contains(&room) {
        return may;
    }
    may.extend(READERS);
    may.extend(WHOLE);
    may
}

/// The rooms that a file names: `crate::x`, `crate::{x, y::{z}}`, and `super::…` up to the root.
fn named(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in source.code.match_indices("crate::") {
        let before = source.code[..at].chars().next_back();
        // `$crate::` of a macro and `my_crate::` are something else.
        if before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric()) {
            continue;
        }
        found.extend(heads(&source.code[at + "crate::".len()..]));
    }
    let depth = source.modules().len();
    let to_root = "super::".repeat(depth);
    for (at, _) in source.code.match_indices(&to_root) {
        let before = &source.code[..at];
        if before.ends_with("super::")
            || before.ends_with(|c: char| c == '_' || c.is_alphanumeric())
        {
            continue;
        }
        // Inside an inline module one `super` stays in the file, so only names of the map count.
        let heads = heads(&source.code[at + to_root.len()..]);
        found.extend(heads.into_iter().filter(|head| place(head)));
    }
    found
}

/// Whether a word is a module of the map.
fn place(word: &str) -> bool {
    [MACHINERY, HANDS, SIDE_ROOMS, STAGES, READERS, WHOLE]
        .iter()
        .any(|list| list.contains(&word))
}

/// The first word of a path, or of each path of a `{…}` group.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        let text = text.trim_start();
        text.chars()
            .take_while(|c| *c == '_' || c.is_alphanumeric())
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        let head = word(rest);
        // `crate::fetch_one!(…)` names a macro, not a room.
        let is_macro = rest[head.len()..].starts_with('!');
        return if is_macro { vec![] } else { vec![head] };
    };
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn every_module_of_the_orchestrator_has_its_place_in_the_map() {
    let lib = read(&root().join("orchestrator/src/lib.rs"));
    let declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let places = [MACHINERY, HANDS, SIDE_ROOMS, STAGES, READERS, WHOLE].concat();
    let missing: Vec<String> = declared
        .iter()
        .filter(|module| !places.contains(module))
        .map(|module| format!("{module} is in lib.rs and not in the map"))
        .chain(
            places
                .iter()
                .filter(|place| !declared.contains(place))
                .map(|place| format!("{place} is in the map and not in lib.rs")),
        )
        .collect();
    all_well("the map and lib.rs name the same modules", &missing);
    // lib.rs keeps the flow's order, so that the map can be read there.
    let in_order: Vec<&str> = declared
        .iter()
        .copied()
        .filter(|m| STAGES.contains(m))
        .collect();
    assert_eq!(
        in_order, STAGES,
        "the stages of lib.rs, in the order of the flow"
    );
}

#[test]
fn a_room_names_only_what_comes_before_it() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in product("orchestrator") {
        let room = source.room();
        if room == "lib" || room == "main" {
            continue;
        }
        let may = may_name(room);
        for name in named(&source) {
            seen += 1;
            if name != room && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names `{name}`", source.path));
            }
        }
    }
    assert!(seen > 300, "only {seen} imports were understood");
    all_well(
        "stages name only earlier stages; side rooms name no stage; hands and machinery know no room",
        &wrong,
    );
}

#[test]
fn a_room_never_names_the_app() {
    let names_it = |code: &str| {
        code.split(|c: char| c != '_' && !c.is_alphanumeric())
            .any(|word| word == "App")
    };
    let wrong: Vec<String> = product("orchestrator")
        .iter()
        .filter(|source| !WHOLE.contains(&source.room()) && names_it(&source.code))
        .map(|source| source.path.clone())
        .collect();
    all_well("a room never names App", &wrong);
}

#[test]
fn what_is_read_from_imports_is_what_they_say() {
    let source = |path: &str, code: &str| Source {
        path: path.to_owned(),
        code: code.to_owned(),
    };
    let names = |path: &str, code: &str| -> Vec<String> {
        named(&source(path, code)).into_iter().collect()
    };
    assert_eq!(
        names(
            "gate/state.rs",
            "use crate::{image, finding::{a, b}, id::Id};"
        ),
        ["finding", "id", "image"]
    );
    assert_eq!(
        names(
            "gate/state.rs",
            "crate::fetch_one!(c); x(super::super::run::Y)"
        ),
        ["run"]
    );
    assert_eq!(
        names("gate/mod.rs", "use super::promotion::Z; $crate::db::Conn"),
        ["promotion"]
    );
    assert!(names("http/pages/run.rs", "use super::super::Problem;").is_empty());
}
