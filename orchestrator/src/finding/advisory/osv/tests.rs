use super::*;

fn record(affected: &str, more: &str) -> Result<Record, InvalidRecord> {
    let text = format!(
        r#"{{"id":"TEST-2026-1","modified":"2026-11-01T08:00:00Z","affected":[{affected}]{more}}}"#
    );
    Record::parse(text.as_bytes())
}

fn affected(ecosystem: &str, body: &str) -> Affected {
    let text = format!(r#"{{"package":{{"ecosystem":"{ecosystem}","name":"p"}},{body}}}"#);
    record(&text, "").unwrap().affected.remove(0)
}

fn hit(fixed_in: Option<&str>) -> Verdict {
    Verdict::Affected {
        fixed_in: fixed_in.map(str::to_owned),
    }
}

#[test]
fn a_version_is_judged_as_the_schema_says() {
    let range = r#""ranges":[{"type":"ECOSYSTEM","events":[{"fixed":"2.3"},{"introduced":"0"},{"introduced":"3.0"},{"last_affected":"3.2"}]}]"#;
    let package = affected("PyPI", range);
    for (version, verdict) in [
        ("0.0.1a1", hit(Some("2.3"))),
        ("2.2.9", hit(Some("2.3"))),
        ("2.3rc1", hit(Some("2.3"))),
        ("2.3", Verdict::Clear),
        ("2.9", Verdict::Clear),
        ("3.0", hit(None)),
        ("3.2", hit(None)),
        ("3.2.0", hit(None)),
        ("3.2.1", Verdict::Clear),
    ] {
        assert_eq!(
            package.verdict(&Ecosystem::PyPi, version),
            verdict,
            "{version}"
        );
    }
}

#[test]
fn listed_versions_ranges_and_limits_all_count() {
    let listed = affected(
        "PyPI",
        r#""versions":["1.0"],"ranges":[{"type":"GIT","repo":"r","events":[{"introduced":"0"},{"fixed":"abc"}]}]"#,
    );
    assert_eq!(listed.verdict(&Ecosystem::PyPi, "1.0.0"), hit(None));
    assert_eq!(listed.verdict(&Ecosystem::PyPi, "1.1"), Verdict::Clear);
    let limited = affected(
        "crates.io",
        r#""ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"limit":"2.0.0"}]}]"#,
    );
    assert_eq!(limited.verdict(&Ecosystem::CratesIo, "1.9.9"), hit(None));
    assert_eq!(
        limited.verdict(&Ecosystem::CratesIo, "2.0.0"),
        Verdict::Clear
    );
    let everything = affected(
        "npm",
        r#""ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"limit":"*"}]}]"#,
    );
    assert_eq!(everything.verdict(&Ecosystem::Npm, "0.0.0-a"), hit(None));
    let one = affected(
        "npm",
        r#""ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.0.0"}]}]"#,
    );
    assert_eq!(one.verdict(&Ecosystem::Npm, "1.0.0"), hit(None));
    assert_eq!(one.verdict(&Ecosystem::Npm, "1.0.1"), Verdict::Clear);
}

#[test]
fn what_cannot_be_compared_is_never_clear() {
    let odd = affected(
        "PyPI",
        r#""ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"zebra"}]}]"#,
    );
    assert_eq!(odd.verdict(&Ecosystem::PyPi, "1.0"), Verdict::Unclear);
    let listed = affected(
        "PyPI",
        r#""versions":["2.0"],"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"zebra"}]}]"#,
    );
    assert_eq!(listed.verdict(&Ecosystem::PyPi, "1.0"), Verdict::Clear);
    assert_eq!(listed.verdict(&Ecosystem::PyPi, "2.0"), hit(None));
}

#[test]
fn severity_comes_from_vectors_then_words_then_is_unknown() {
    let package = r#"{"package":{"ecosystem":"PyPI","name":"p"}}"#;
    let of = |affected: &str, more: &str| record(affected, more).unwrap().affected[0].severity;
    let critical = r#","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]"#;
    assert_eq!(of(package, critical), Severity::Critical);
    let v4 = r#","severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}]"#;
    assert_eq!(of(package, v4), Severity::Critical);
    let v2 = r#","severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:P/I:P/A:P"}]"#;
    assert_eq!(of(package, v2), Severity::High);
    let word = r#","database_specific":{"severity":"MODERATE"}"#;
    assert_eq!(of(package, word), Severity::Medium);
    assert_eq!(of(package, ""), Severity::Unknown);
    let broken = r#","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:nonsense"}]"#;
    assert_eq!(of(package, broken), Severity::Unknown);
    let own = r#"{"package":{"ecosystem":"PyPI","name":"p"},"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]}"#;
    assert_eq!(
        of(own, critical),
        Severity::Low,
        "the package's own word wins"
    );
    let old = r#"{"package":{"ecosystem":"crates.io","name":"p"},"database_specific":{"informational":"unmaintained"}}"#;
    assert_eq!(of(old, ""), Severity::Low);
}

#[test]
fn one_cve_under_a_distributions_name_is_an_alias() {
    let text = br#"{"id":"DEBIAN-CVE-2026-1","modified":"2026-01-01T00:00:00.5Z","upstream":["CVE-2026-1"]}"#;
    assert_eq!(Record::parse(text).unwrap().aliases, ["CVE-2026-1"]);
    let many = br#"{"id":"DSA-1-1","modified":"2026-01-01T00:00:00Z","upstream":["CVE-2026-1","CVE-2026-2"]}"#;
    assert!(Record::parse(many).unwrap().aliases.is_empty());
}

#[test]
fn a_time_that_cannot_be_read_is_the_oldest() {
    let odd = Record::parse(br#"{"id":"PYSEC-2024-55","modified":"1-01-01T00:00:00Z"}"#);
    assert_eq!(odd.unwrap().modified_at, 0);
}

#[test]
fn broken_records_are_refused() {
    for text in [
        "",
        "{}",
        r#"{"id":"A"}"#,
        r#"{"id":"a b","modified":"2026-01-01T00:00:00Z"}"#,
        r#"{"id":"A","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0","fixed":"1"}]}]}]}"#,
    ] {
        assert!(
            matches!(Record::parse(text.as_bytes()), Err(InvalidRecord::Form(_))),
            "{text}"
        );
    }
}

#[test]
fn every_limit_is_reached() {
    let too_many = |affected: &str, more: &str| {
        assert!(matches!(
            record(affected, more),
            Err(InvalidRecord::TooMany { .. })
        ));
    };
    too_many("", &" ".repeat(RECORD_BYTES_MAX));
    too_many(&vec!["{}"; AFFECTED_MAX + 1].join(","), "");
    let aliases = vec!["\"CVE-1\""; ALIASES_MAX + 1].join(",");
    too_many("", &format!(r#","aliases":[{aliases}]"#));
    let package = r#""package":{"ecosystem":"npm","name":"p"}"#;
    let events = vec![r#"{"introduced":"0"}"#; EVENTS_MAX + 1].join(",");
    too_many(
        &format!(r#"{{{package},"ranges":[{{"type":"SEMVER","events":[{events}]}}]}}"#),
        "",
    );
    let versions = vec!["\"1\""; VERSIONS_MAX + 1].join(",");
    too_many(&format!(r#"{{{package},"versions":[{versions}]}}"#), "");
    let long = "x".repeat(DETAILS_CHARS_MAX + 9);
    let record = record("", &format!(r#","details":"{long}""#)).unwrap();
    assert_eq!(record.details.chars().count(), DETAILS_CHARS_MAX + 1);
    assert_eq!(record.summary.chars().count(), SUMMARY_CHARS_MAX + 1);
    let id = "A".repeat(ID_CHARS_MAX + 1);
    let text = format!(r#"{{"id":"{id}","modified":"2026-01-01T00:00:00Z"}}"#);
    assert!(Record::parse(text.as_bytes()).is_err());
}
