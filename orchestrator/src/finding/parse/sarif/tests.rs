use super::*;
use crate::finding::Fingerprint;
use std::collections::BTreeSet;

const GITLEAKS_BEFORE: &[u8] = include_bytes!("../../fixtures/gitleaks-before.sarif.json");
const GITLEAKS_AFTER: &[u8] = include_bytes!("../../fixtures/gitleaks-after.sarif.json");
const HADOLINT_BEFORE: &[u8] = include_bytes!("../../fixtures/hadolint-before.sarif.json");
const HADOLINT_AFTER: &[u8] = include_bytes!("../../fixtures/hadolint-after.sarif.json");

fn fingerprints(report: &Sarif) -> Vec<Fingerprint> {
    report.findings.iter().map(|f| f.fingerprint).collect()
}

/// One run of one tool, with these members added to it.
fn run_with(members: &str) -> String {
    format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t"}}}},{members}}}]}}"#)
}

fn one_result(result: &str) -> Sarif {
    parse(run_with(&format!(r#""results":[{result}]"#)).as_bytes()).unwrap()
}

#[test]
fn ten_lines_above_change_no_fingerprint_and_equal_hits_differ() {
    for (before, after, count) in [
        (GITLEAKS_BEFORE, GITLEAKS_AFTER, 4),
        (HADOLINT_BEFORE, HADOLINT_AFTER, 11),
    ] {
        let (before, after) = (parse(before).unwrap(), parse(after).unwrap());
        assert_eq!(before.findings.len(), count);
        assert_eq!(fingerprints(&before), fingerprints(&after));
        let distinct: BTreeSet<_> = fingerprints(&before).into_iter().collect();
        assert_eq!(distinct.len(), count, "equal hits must differ");
        for (old, new) in before.findings.iter().zip(&after.findings) {
            let (Location::File { line: old, .. }, Location::File { line: new, .. }) =
                (&old.location, &new.location)
            else {
                panic!("a finding without a file");
            };
            assert_eq!(old.unwrap() + 10, new.unwrap(), "the recorded runs moved");
        }
    }
}

#[test]
fn gitleaks_output_is_read_and_no_secret_is_kept() {
    let redacted = String::from_utf8(GITLEAKS_BEFORE.to_vec()).unwrap();
    let report = parse(redacted.as_bytes()).unwrap();
    assert!(report.problems.is_empty() && !report.holds_secrets);
    let readable = redacted.replace("REDACTED", "hunter2-hunter2");
    let leaking = parse(readable.as_bytes()).unwrap();
    assert!(
        leaking.holds_secrets,
        "seen that the scanner did not redact"
    );
    assert!(!format!("{:?}", leaking.findings).contains("hunter2"));
    assert_eq!(fingerprints(&leaking), fingerprints(&report));
    let key = &report.findings[0];
    assert_eq!(
        (key.tool.as_str(), key.rule.as_str()),
        ("gitleaks", "private-key")
    );
    assert_eq!(key.severity, Severity::High);
    assert_eq!(
        key.location,
        Location::File {
            path: "src/key.pem".to_owned(),
            line: Some(1)
        }
    );
}

#[test]
fn hadolint_output_is_read_with_its_levels() {
    let report = parse(HADOLINT_BEFORE).unwrap();
    assert_eq!(report.errors, 2);
    assert_eq!(report.tools[0].name, "hadolint");
    let of = |rule: &str| {
        let found = report.findings.iter().find(|f| f.rule == rule);
        found.map(|f| f.severity)
    };
    assert_eq!(of("DL3000"), Some(Severity::High));
    assert_eq!(of("DL3006"), Some(Severity::Medium));
    assert_eq!(of("DL3009"), Some(Severity::Low));
}

#[test]
fn a_tool_that_did_not_run_well_says_so() {
    for (members, problem) in [
        (r#""x":1"#, "t wrote no results: it did not run to its end"),
        (
            r#""results":null"#,
            "t wrote no results: it did not run to its end",
        ),
        (
            r#""results":[],"invocations":[{"executionSuccessful":false}]"#,
            "t says that its run was not successful",
        ),
        (
            r#""results":[],"invocations":[{}]"#,
            "t says that its run was not successful",
        ),
        (
            r#""results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"error","message":{"text":"out of memory"}}]}]"#,
            "t reports: out of memory",
        ),
    ] {
        let report = parse(run_with(members).as_bytes()).unwrap();
        assert_eq!(report.problems, [problem], "{members}");
    }
    let clean = r#""results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"warning"}]}]"#;
    assert!(
        parse(run_with(clean).as_bytes())
            .unwrap()
            .problems
            .is_empty()
    );
}

#[test]
fn levels_are_resolved_in_the_specified_order() {
    let with_rule = |result: &str, level: &str| {
        let text = format!(
            r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t","rules":[{{"id":"r","defaultConfiguration":{{"level":"{level}"}}}}]}}}},"results":[{result}]}}]}}"#
        );
        let report = parse(text.as_bytes()).unwrap();
        report.findings.first().map(|f| f.severity)
    };
    let bare = r#"{"ruleId":"r","message":{"text":"m"}}"#;
    assert_eq!(with_rule(bare, "note"), Some(Severity::Low));
    assert_eq!(with_rule(bare, "none"), None);
    assert_eq!(
        with_rule(
            r#"{"ruleId":"r","level":"error","message":{"text":"m"}}"#,
            "note"
        ),
        Some(Severity::High)
    );
    assert_eq!(
        with_rule(r#"{"ruleIndex":0,"message":{"text":"m"}}"#, "error"),
        Some(Severity::High)
    );
    assert_eq!(
        with_rule(r#"{"ruleId":"r/1","message":{"text":"m"}}"#, "error"),
        Some(Severity::High)
    );
    assert_eq!(
        with_rule(r#"{"ruleId":"unknown","message":{"text":"m"}}"#, "error"),
        Some(Severity::Medium)
    );
    for kind in ["pass", "open", "informational", "notApplicable", "review"] {
        let text = format!(r#"{{"ruleId":"r","kind":"{kind}","message":{{"text":"m"}}}}"#);
        assert_eq!(with_rule(&text, "error"), None, "{kind}");
    }
    let overridden = run_with(
        r#""invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"id":"r"},"configuration":{"level":"error"}}]}],"results":[{"ruleId":"r","message":{"text":"m"}}]"#,
    );
    let report = parse(overridden.as_bytes()).unwrap();
    assert_eq!(report.findings[0].severity, Severity::High);
}

#[test]
fn rules_of_extensions_are_found_and_scores_count() {
    let text = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","rules":[{"id":"d"}]},
        "extensions":[{"name":"e","rules":[{"id":"x","shortDescription":{"text":"about x"},"properties":{"security-severity":"9.8"}}]}]},
        "results":[{"rule":{"index":0,"toolComponent":{"index":0}},"message":{"text":"m"}},
                   {"ruleId":"x","message":{"text":"m"}}]}]}"#;
    let report = parse(text.as_bytes()).unwrap();
    for finding in &report.findings {
        assert_eq!(finding.rule, "x");
        assert_eq!(finding.title, "about x");
        assert_eq!(finding.severity, Severity::Critical);
    }
}

#[test]
fn suppressed_results_are_kept_and_marked_and_absent_ones_are_not() {
    let suppressed = |suppressions: &str| {
        one_result(&format!(
            r#"{{"message":{{"text":"m"}},"suppressions":{suppressions}}}"#
        ))
        .findings[0]
            .suppressed
    };
    assert!(suppressed(r#"[{"kind":"inSource"}]"#));
    assert!(!suppressed("[]") && !suppressed("null"));
    assert!(!suppressed(
        r#"[{"kind":"external"},{"kind":"external","status":"rejected"}]"#
    ));
    assert!(!suppressed(
        r#"[{"kind":"external","status":"underReview"}]"#
    ));
    let absent = one_result(r#"{"message":{"text":"m"},"baselineState":"absent"}"#);
    assert!(absent.findings.is_empty());
}

#[test]
fn untrusted_paths_stay_inside() {
    for (uri, path) in [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("file:///work/src/app/a.py", "app/a.py"),
        ("../../etc/passwd", "etc/passwd"),
        ("a/../../../b", "b"),
        ("%2e%2e/%2e%2e/etc/passwd", "etc/passwd"),
        ("a%20b.py", "a b.py"),
        ("..\\..\\x", "x"),
        ("100%", "100%"),
    ] {
        assert_eq!(normalised_path(uri), path, "{uri}");
    }
}

#[test]
fn matched_text_is_not_repeated_in_a_message() {
    let report = one_result(
        r#"{"message":{"text":"found password=topsecret here"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a"},"region":{"startLine":1,"snippet":{"text":"password=topsecret"}}}}]}"#,
    );
    assert_eq!(report.findings[0].message, "found [matched text] here");
}

#[test]
fn every_limit_is_reached() {
    let too_large = vec![b' '; REPORT_BYTES_MAX + 1];
    assert!(matches!(
        parse(&too_large),
        Err(Unreadable::TooLarge { .. })
    ));
    let many = |count: usize| {
        let results = vec![r#"{"message":{"text":"m"}}"#; count].join(",");
        parse(run_with(&format!(r#""results":[{results}]"#)).as_bytes())
    };
    assert!(matches!(
        many(RESULTS_MAX + 1),
        Err(Unreadable::TooMany {
            what: "results",
            ..
        })
    ));
    assert_eq!(many(RESULTS_MAX).unwrap().findings.len(), RESULTS_MAX);
    let run = r#"{"tool":{"driver":{"name":"t"}},"results":[]}"#;
    let runs = vec![run; RUNS_MAX + 1].join(",");
    let text = format!(r#"{{"version":"2.1.0","runs":[{runs}]}}"#);
    assert!(matches!(
        parse(text.as_bytes()),
        Err(Unreadable::TooMany { what: "runs", .. })
    ));
    let rules = vec![r#"{"id":"r"}"#; RULES_MAX + 1].join(",");
    let text = format!(
        r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t","rules":[{rules}]}}}},"results":[]}}]}}"#
    );
    assert!(matches!(
        parse(text.as_bytes()),
        Err(Unreadable::TooMany { what: "rules", .. })
    ));
    let notes = vec!["{}"; INVOCATION_ITEMS_MAX + 1].join(",");
    let text = run_with(&format!(
        r#""results":[],"invocations":[{{"executionSuccessful":true,"toolExecutionNotifications":[{notes}]}}]"#
    ));
    assert!(matches!(
        parse(text.as_bytes()),
        Err(Unreadable::TooMany {
            what: "notifications",
            ..
        })
    ));
    let long = "x".repeat(MESSAGE_CHARS_MAX + 50);
    let report = one_result(&format!(
        r#"{{"ruleId":"{long}","message":{{"text":"{long}"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"{long}"}}}}}}]}}"#
    ));
    let finding = &report.findings[0];
    assert_eq!(finding.message.chars().count(), MESSAGE_CHARS_MAX + 1);
    assert_eq!(finding.title.chars().count(), TITLE_CHARS_MAX + 1);
    assert_eq!(finding.rule.chars().count(), ID_CHARS_MAX + 1);
    let Location::File { path, .. } = &finding.location else {
        panic!("no file");
    };
    assert_eq!(path.chars().count(), PATH_CHARS_MAX + 1);
}

#[test]
fn garbage_is_refused() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let nested = format!(r#"{{"version":"2.1.0","x":{deep},"runs":[]}}"#);
    for text in [
        "",
        "panic: runtime error",
        "{}",
        "[]",
        deep.as_str(),
        nested.as_str(),
        r#"{"version":"2.0.0","runs":[]}"#,
        r#"{"version":"2.1.0","runs":[]}"#,
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":" "}},"results":[]}]}"#,
        r#"{"version":"2.1.0","runs":[{"results":[]}]}"#,
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}},"results":["#,
    ] {
        assert!(
            matches!(parse(text.as_bytes()), Err(Unreadable::Garbage { .. })),
            "{}",
            &text[..text.len().min(40)]
        );
    }
    let cut = &HADOLINT_BEFORE[..HADOLINT_BEFORE.len() / 2];
    assert!(matches!(parse(cut), Err(Unreadable::Garbage { .. })));
}
