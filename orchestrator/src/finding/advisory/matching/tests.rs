use super::*;
use crate::finding::parse::cyclonedx;

const SYFT: &[u8] = include_bytes!("../../fixtures/syft-cyclonedx.json");

fn record(text: &str) -> Record {
    Record::parse(text.as_bytes()).unwrap()
}

fn of(id: &str, aliases: &str, package: &str, fixed: &str, more: &str) -> Record {
    let (ecosystem, name) = package.split_once('/').unwrap();
    record(&format!(
        r#"{{"id":"{id}","modified":"2026-01-01T00:00:00Z","aliases":[{aliases}],"summary":"About {id}","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]{more}}}"#
    ))
}

fn package(purl: &str) -> Package {
    let bom = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{{"type":"library","name":"x","purl":"{purl}"}}]}}"#
    );
    cyclonedx::parse(bom.as_bytes()).unwrap().packages.remove(0)
}

fn advisories(records: impl IntoIterator<Item = Record>) -> Advisories {
    let mut advisories = Advisories::default();
    records
        .into_iter()
        .for_each(|record| advisories.add(record));
    advisories
}

#[test]
fn an_outdated_package_of_a_real_bill_is_found_and_the_rest_is_said_to_be_unchecked() {
    let sbom = cyclonedx::parse(SYFT).unwrap();
    let known = advisories([
        of(
            "PYSEC-2026-1",
            r#""CVE-2026-10""#,
            "PyPI/Flask.Login",
            "0.6.3",
            "",
        ),
        of("PYSEC-2026-2", "", "PyPI/Jinja2", "3.1.0", ""),
    ]);
    let judged = judge(&sbom.packages, &known);
    let [finding] = judged.findings.as_slice() else {
        panic!("{:?}", judged.findings);
    };
    assert_eq!(finding.rule, "PYSEC-2026-1");
    assert_eq!(finding.title, "About PYSEC-2026-1");
    assert_eq!(finding.aliases, ["CVE-2026-10"]);
    assert_eq!(finding.severity, Severity::Unknown);
    let Location::Package(at) = &finding.location else {
        panic!("no package");
    };
    assert_eq!(at.fixed_in.as_deref(), Some("0.6.3"));
    assert_eq!(at.version, "0.6.2");
    let kinds = not_checked_by_kind(&judged.not_checked);
    let expected = [("deb".to_owned(), 6), ("npm".to_owned(), 1)];
    assert_eq!(kinds, BTreeMap::from(expected));
    assert_eq!(
        judged.not_checked[0].why,
        "no advisories for Debian:12 were imported"
    );
}

#[test]
fn one_hole_in_three_databases_is_one_finding() {
    let medium = r#","database_specific":{"severity":"MODERATE"}"#;
    let known = advisories([
        of("PYSEC-2026-3", r#""CVE-2026-3""#, "PyPI/p", "2.0", ""),
        of(
            "GHSA-aaaa-bbbb-cccc",
            r#""CVE-2026-3""#,
            "PyPI/p",
            "2.1",
            medium,
        ),
        of("CVE-2026-3", "", "PyPI/p", "2.0", ""),
        of("GHSA-zzzz-zzzz-zzzz", "", "PyPI/p", "2.0", ""),
    ]);
    let packages = [package("pkg:pypi/p@1.0")];
    let judged = judge(&packages, &known);
    assert_eq!(judged.findings.len(), 2);
    let one = judged
        .findings
        .iter()
        .find(|f| f.rule == "PYSEC-2026-3")
        .unwrap();
    assert_eq!(one.aliases, ["CVE-2026-3", "GHSA-aaaa-bbbb-cccc"]);
    assert_eq!(one.severity, Severity::Medium);
    let Location::Package(at) = &one.location else {
        panic!("no package");
    };
    assert_eq!(
        at.fixed_in.as_deref(),
        Some("2.1"),
        "the later fix mends all"
    );
    // The same hole known from one database only has the same fingerprint.
    let alone = advisories([of("PYSEC-2026-3", r#""CVE-2026-3""#, "PyPI/p", "2.0", "")]);
    let alone = judge(&packages, &alone);
    assert_eq!(alone.findings[0].fingerprint, one.fingerprint);
}

#[test]
fn a_fingerprint_outlives_a_new_version_and_tells_two_versions_apart() {
    let known = advisories([of("RUSTSEC-2026-1", "", "crates.io/a", "3.0.0", "")]);
    let finger = |purls: &[&str]| -> Vec<_> {
        let packages: Vec<_> = purls.iter().map(|purl| package(purl)).collect();
        let judged = judge(&packages, &known);
        judged.findings.iter().map(|f| f.fingerprint).collect()
    };
    assert_eq!(
        finger(&["pkg:cargo/a@1.0.0"]),
        finger(&["pkg:cargo/a@2.0.0"])
    );
    let both = finger(&["pkg:cargo/a@1.0.0", "pkg:cargo/a@2.0.0"]);
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1]);
}

#[test]
fn debian_binaries_are_matched_by_their_source_and_told_once() {
    let known = advisories([of(
        "DSA-1-1",
        "",
        "Debian:12/openssl",
        "3.0.20-1~deb12u1",
        "",
    )]);
    let ssl = "pkg:deb/debian/libssl3@3.0.19-1~deb12u2?distro=debian-12&upstream=openssl";
    let tool = "pkg:deb/debian/openssl@3.0.19-1~deb12u2?distro=debian-12";
    let judged = judge(&[package(ssl), package(tool)], &known);
    assert_eq!(judged.findings.len(), 1);
    let other_release = "pkg:deb/debian/openssl@1-1?distro=debian-11";
    let judged = judge(&[package(other_release)], &known);
    assert!(judged.findings.is_empty());
    assert_eq!(
        judged.not_checked.len(),
        1,
        "another release is not covered"
    );
}

#[test]
fn withdrawn_records_hit_nothing_and_unclear_ones_do() {
    let withdrawn = r#","withdrawn":"2026-02-01T00:00:00Z""#;
    let known = advisories([of("PYSEC-2026-4", "", "PyPI/p", "9.0", withdrawn)]);
    let packages = [package("pkg:pypi/p@1.0")];
    assert_eq!(judge(&packages, &known), Judged::default());
    let known = advisories([of("PYSEC-2026-5", "", "PyPI/p", "zebra", "")]);
    let judged = judge(&packages, &known);
    assert!(
        judged.findings[0]
            .message
            .starts_with("Counted as affected")
    );
    let odd = [package("pkg:pypi/p@banana")];
    let judged = judge(&odd, &known);
    assert_eq!(
        judged.not_checked[0].why,
        "its version is no version of PyPI"
    );
}

/// Differential test and benchmark over real advisories, given by path
/// (`SALLYPORT_OSV_DIR` with `PyPI.zip` and `crates.io.zip`): what lists its versions must agree
/// with its own ranges, and 300 packages with thousands of holes are judged in about a second unoptimised.
#[test]
fn real_advisories_agree_with_themselves() {
    let Some(folder) = std::env::var_os("SALLYPORT_OSV_DIR") else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let mut records = Vec::new();
    for name in ["PyPI.zip", "crates.io.zip"] {
        let start = std::time::Instant::now();
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let archive = crate::finding::advisory::Archive::read(&bytes).unwrap();
        println!(
            "{name}: {} records in {:?}",
            archive.entries.len(),
            start.elapsed()
        );
        records.extend(archive.entries.into_iter().map(|entry| entry.record));
    }
    let (mut listed, mut outside, mut unreadable) = (0, 0, 0);
    for record in &records {
        for affected in &record.affected {
            let ecosystem = Ecosystem::of_osv(&affected.ecosystem).unwrap();
            let ranges_only = Affected {
                versions: Vec::new(),
                ..affected.clone()
            };
            for version in &affected.versions {
                assert_ne!(affected.verdict(&ecosystem, version), Verdict::Clear);
                listed += 1;
                match ranges_only.verdict(&ecosystem, version) {
                    Verdict::Affected { .. } => {}
                    Verdict::Clear => outside += 1,
                    Verdict::Unclear => unreadable += 1,
                }
                if !ecosystem.is_version(version) {
                    unreadable += 1;
                }
            }
        }
    }
    println!("{listed} listed versions, {outside} outside their ranges, {unreadable} odd");
    assert!(outside * 50 < listed, "ranges and lists disagree");
    let packages: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let affected = record.affected.first()?;
            let ecosystem = Ecosystem::of_osv(&affected.ecosystem)?;
            let kind = ecosystem.purl_type();
            let version = affected.versions.last().map_or("1.0.0", String::as_str);
            let purl = format!("pkg:{kind}/{}@{version}", affected.name);
            packageurl::PackageUrl::new(kind, affected.name.clone()).ok()?;
            Some(package(&purl))
        })
        .step_by(12)
        .take(300)
        .collect();
    let known = advisories(records);
    let start = std::time::Instant::now();
    let judged = judge(&packages, &known);
    let took = start.elapsed();
    println!(
        "{} packages: {} findings, {} not checked in {took:?}",
        packages.len(),
        judged.findings.len(),
        judged.not_checked.len()
    );
    assert!(judged.findings.len() > 100 && took.as_secs() < 5);
}
