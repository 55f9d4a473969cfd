use super::*;
use contract::protocol::{Isolation, LogEnd, Times, ToolEnd};

const GITLEAKS: &[u8] = include_bytes!("../fixtures/gitleaks-before.sarif.json");
const HADOLINT: &[u8] = include_bytes!("../fixtures/hadolint-before.sarif.json");
const SYFT: &[u8] = include_bytes!("../fixtures/syft-cyclonedx.json");

fn empty_sarif(tool: &str) -> Vec<u8> {
    format!(
        r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"{tool}"}}}},"results":[]}}]}}"#
    )
    .into_bytes()
}

fn report(outcome: Outcome, tools: &[(&str, Option<i64>)]) -> Report {
    Report {
        step_id: "s".to_owned(),
        fence: 1,
        outcome,
        log: LogEnd {
            chunks: 0,
            bytes: 0,
            sha256: Digest::of(b""),
            dropped_bytes: 0,
        },
        artifacts: Vec::new(),
        images: Vec::new(),
        tools: tools
            .iter()
            .map(|(name, exit_code)| ToolEnd {
                name: (*name).to_owned(),
                exit_code: *exit_code,
                problem: None,
            })
            .collect(),
        isolation: Isolation {
            level: "docker-runc-userns".to_owned(),
            rules: Vec::new(),
        },
        times: Times {
            claimed_at: 0,
            started_at: None,
            first_output_at: None,
            ended_at: 0,
        },
        network: false,
        complaints: Vec::new(),
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed {
        reason: reason.to_owned(),
        exit_code: Some(1),
    }
}

fn file(name: &str, bytes: &[u8]) -> StoredFile {
    StoredFile {
        artifact_id: format!("a-{name}"),
        name: name.to_owned(),
        digest: Digest::of(bytes),
        bytes: Ok(bytes.to_vec()),
    }
}

fn analyze(tools: &[&str]) -> Expected {
    Expected::Analyze {
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
    }
}

fn incomplete(text: &str) -> Verdict {
    Verdict::Incomplete(text.to_owned())
}

#[test]
fn gitleaks_fails_on_any_result_and_hadolint_on_errors() {
    let both = analyze(&["hadolint", "gitleaks"]);
    let ends = [("hadolint", Some(1)), ("gitleaks", Some(1))];
    let files = [
        file("sarif/hadolint.sarif", HADOLINT),
        file("sarif/gitleaks.sarif", GITLEAKS),
    ];
    let judgement = judge(&both, &report(Outcome::Passed, &ends), &files);
    assert_eq!(
        judgement.verdict,
        Verdict::Failed("hadolint found 2 errors; gitleaks found 4 secrets".to_owned())
    );
    assert_eq!(judgement.findings.len(), 15);
    let warned = String::from_utf8(HADOLINT.to_vec())
        .unwrap()
        .replace("\"error\"", "\"warning\"");
    let files = [
        file("sarif/hadolint.sarif", warned.as_bytes()),
        file("sarif/gitleaks.sarif", &empty_sarif("gitleaks")),
    ];
    let ends = [("hadolint", Some(1)), ("gitleaks", Some(0))];
    let judgement = judge(&both, &report(Outcome::Passed, &ends), &files);
    assert_eq!(
        judgement.verdict,
        Verdict::Passed,
        "warnings are the gate's business"
    );
    assert_eq!(judgement.findings.len(), 11);
}

#[test]
fn a_scanner_that_is_silent_crashes_or_lies_proves_nothing() {
    let one = analyze(&["gitleaks"]);
    let clean = file("sarif/gitleaks.sarif", &empty_sarif("gitleaks"));
    let garbage = file("sarif/gitleaks.sarif", b"panic: runtime error");
    let other = file("sarif/gitleaks.sarif", &empty_sarif("hadolint"));
    let ended = |code| [("gitleaks", code)];
    for (code, files, why) in [
        (Some(0), vec![], "gitleaks: it wrote no report"),
        (
            Some(2),
            vec![],
            "gitleaks: it wrote no report (gitleaks exited with 2)",
        ),
        (
            Some(0),
            vec![garbage],
            "gitleaks: this is no SARIF report: not JSON at line 1 column 1",
        ),
        (
            Some(0),
            vec![other],
            "gitleaks: the report was not written by gitleaks",
        ),
        (
            Some(2),
            vec![clean.clone()],
            "gitleaks: gitleaks exited with 2",
        ),
        (
            Some(1),
            vec![clean.clone()],
            "gitleaks: gitleaks exited with 1 and reported nothing",
        ),
        (
            None,
            vec![clean.clone()],
            "gitleaks: gitleaks was ended by a signal or a limit",
        ),
    ] {
        let judgement = judge(&one, &report(Outcome::Passed, &ended(code)), &files);
        assert_eq!(judgement.verdict, incomplete(why));
        assert_ne!(judgement.reports[0].outcome, "read");
    }
    let unsaid = judge(&one, &report(Outcome::Passed, &[]), &[clean]);
    let why = "gitleaks: the worker does not say how gitleaks ended";
    assert_eq!(unsaid.verdict, incomplete(why));
}

#[test]
fn a_report_that_holds_the_secrets_themselves_is_no_evidence() {
    let readable = String::from_utf8(GITLEAKS.to_vec())
        .unwrap()
        .replace("REDACTED", "hunter2");
    let scan = Expected::Scan {
        image: "web".to_owned(),
        sbom: "syft".to_owned(),
        secrets: "gitleaks".to_owned(),
    };
    let ends = [("syft", Some(0)), ("gitleaks", Some(1))];
    let files = [
        file("sbom/cyclonedx.json", SYFT),
        file("sarif/gitleaks.sarif", readable.as_bytes()),
    ];
    let judgement = judge(&scan, &report(Outcome::Passed, &ends), &files);
    let why = "gitleaks: its report holds the secrets themselves (it has to redact)";
    assert_eq!(judgement.verdict, incomplete(why));
    assert!(!format!("{judgement:?}").contains("hunter2"));
}

#[test]
fn a_scan_passes_whatever_it_found_as_long_as_it_ran_well() {
    let scan = Expected::Scan {
        image: "web".to_owned(),
        sbom: "syft".to_owned(),
        secrets: "gitleaks".to_owned(),
    };
    let ends = [("syft", Some(0)), ("gitleaks", Some(1))];
    let files = [
        file("sbom/cyclonedx.json", SYFT),
        file("sarif/gitleaks.sarif", GITLEAKS),
    ];
    let judgement = judge(&scan, &report(Outcome::Passed, &ends), &files);
    assert_eq!(judgement.verdict, Verdict::Passed);
    assert_eq!(judgement.findings.len(), 4);
    let (digest, sbom) = judgement.sbom.unwrap();
    assert_eq!((digest, sbom.packages.len()), (Digest::of(SYFT), 10));
    let judgement = judge(&scan, &report(Outcome::Passed, &ends), &files[1..]);
    assert_eq!(judgement.verdict, incomplete("syft: it wrote no report"));
    let ends = [("syft", Some(1)), ("gitleaks", Some(1))];
    let judgement = judge(&scan, &report(Outcome::Passed, &ends), &files);
    assert_eq!(judgement.verdict, incomplete("syft: syft exited with 1"));
    assert_eq!(judgement.sbom, None, "a bill that may be cut is no bill");
    let ends = [("syft", Some(0))];
    let judgement = judge(&scan, &report(Outcome::Passed, &ends), &files[..1]);
    assert_eq!(
        judgement.verdict,
        incomplete("gitleaks: it wrote no report (the worker does not say how gitleaks ended)")
    );
}

#[test]
fn a_test_is_judged_by_its_report_and_its_exit() {
    let good = br#"<testsuite><testcase name="a"/></testsuite>"#;
    let bad =
        br#"<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>"#;
    let expected = Expected::Test {
        junit: vec!["reports/*.xml".to_owned()],
    };
    let run = Expected::Run {
        junit: vec!["reports/*.xml".to_owned()],
    };
    let verdict = |expected: &Expected, outcome: Outcome, files: &[StoredFile]| {
        judge(expected, &report(outcome, &[]), files).verdict
    };
    let good = file("junit/reports/a.xml", good);
    let bad = file("junit/reports/b.xml", bad);
    let both = [good.clone(), bad.clone()];
    assert_eq!(
        verdict(&expected, Outcome::Passed, &both[..1]),
        Verdict::Passed
    );
    assert_eq!(
        verdict(&expected, Outcome::Passed, &both),
        Verdict::Failed("1 of 3 tests failed".to_owned())
    );
    assert_eq!(
        verdict(&run, Outcome::Passed, &both),
        Verdict::Passed,
        "a run: by its exit"
    );
    let exited = Verdict::Failed("exit code 1".to_owned());
    assert_eq!(
        verdict(&expected, failed("exit code 1"), &both[..1]),
        exited
    );
    assert_eq!(verdict(&expected, failed("exit code 1"), &[]), exited);
    assert_eq!(verdict(&run, failed("exit code 1"), &both), exited);
    let missing = incomplete("test report reports/*.xml: no such file");
    assert_eq!(verdict(&expected, Outcome::Passed, &[]), missing);
    assert_eq!(verdict(&run, Outcome::Passed, &[]), missing);
    let cut = file("junit/reports/a.xml", b"<testsuite><testcase");
    assert!(matches!(
        verdict(&run, Outcome::Passed, &[cut]),
        Verdict::Incomplete(_)
    ));
}

#[test]
fn what_the_blob_store_has_lost_is_not_the_steps_fault() {
    let mut lost = file("sarif/gitleaks.sarif", &empty_sarif("gitleaks"));
    lost.bytes = Err("blob sha256:… is damaged".to_owned());
    let ends = [("gitleaks", Some(0))];
    let judgement = judge(
        &analyze(&["gitleaks"]),
        &report(Outcome::Passed, &ends),
        &[lost],
    );
    assert!(matches!(judgement.verdict, Verdict::Infrastructure(_)));
}

#[test]
fn work_that_did_not_end_is_not_judged_by_its_files() {
    let one = analyze(&["gitleaks"]);
    let clean = [file("sarif/gitleaks.sarif", &empty_sarif("gitleaks"))];
    let ends = [("gitleaks", Some(0))];
    for outcome in [Outcome::Cancelled, Outcome::Deadline, Outcome::Unsupported] {
        let judgement = judge(&one, &report(outcome, &ends), &clean);
        assert!(matches!(judgement.verdict, Verdict::Incomplete(_)));
    }
    let what = "registry does not answer".to_owned();
    let outcome = Outcome::Infrastructure { what: what.clone() };
    let judgement = judge(&one, &report(outcome, &ends), &clean);
    assert_eq!(judgement.verdict, Verdict::Infrastructure(what));
}
