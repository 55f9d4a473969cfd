//! The manual of the two languages says all that the programs say.

use super::links::anchors;
use super::text::{all_well, read, root};
use contract::complaint::Code;
use regex::Regex;

fn manual() -> String {
    read(&root().join("docs/language.md"))
}

#[test]
fn every_complaint_has_its_place_in_the_manual() {
    let manual = manual();
    let anchors = anchors(&manual);
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut wrong = Vec::new();
    for code in &codes {
        if !anchors.contains(*code) {
            wrong.push(format!("docs/language.md has no `{code}`"));
        }
        let place = manual.split_once(&format!("#### {code}\n"));
        let place = place.map_or("", |(_, rest)| rest.split("\n#").next().unwrap_or_default());
        if !place.contains("*Mend*: ") {
            wrong.push(format!(
                "docs/language.md does not say how to mend `{code}`"
            ));
        }
    }
    let heading = Regex::new(r"(?m)^#### (.+)$").unwrap();
    for found in heading.captures_iter(&manual) {
        if !codes.contains(&&found[1]) {
            wrong.push(format!(
                "docs/language.md explains `{}`, which is no code",
                &found[1]
            ));
        }
    }
    all_well("every complaint in the manual, and no other", &wrong);
}

#[test]
fn every_key_of_both_languages_is_in_the_manual() {
    let manual = manual();
    let key =
        Regex::new(r#"(?:optional|required|key|optional_texts)\((?:&mut keys, )?"([a-z-]+)""#)
            .unwrap();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in [
        "contract/src/language/read.rs",
        "contract/src/settings/read.rs",
    ] {
        for found in key.captures_iter(&read(&root().join(file))) {
            seen += 1;
            // `a`, `b.a`, `a.b`, `b[].a`: the key stands as a word inside backticks.
            let in_ticks = Regex::new(&format!(
                r"`(?:[a-z.\[\]-]*\.)?{}(?:[.:][^`]*)?`",
                &found[1]
            ))
            .unwrap();
            if !in_ticks.is_match(&manual) {
                wrong.push(format!(
                    "docs/language.md does not name `{}` of {file}",
                    &found[1]
                ));
            }
        }
    }
    assert!(seen > 60, "only {seen} keys were found");
    all_well("every key in the manual", &wrong);
}
