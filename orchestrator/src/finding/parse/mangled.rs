//! Reports that were cut, doubled or changed at any place: refused or read, never a panic.

use super::{cyclonedx, junit, sarif};
use crate::finding::advisory::Record;
use proptest::prelude::*;

const JUNIT: &[u8] = br#"<?xml version="1.0"?><testsuites><testsuite name="a" time="1,2.5"><testcase name="x &amp; y"><failure message="m"><![CDATA[t]]></failure></testcase></testsuite></testsuites>"#;
const RECORD: &[u8] = br#"{"id":"A-1","modified":"2026-01-01T00:00:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"PyPI","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1!2.0rc1"}]}]}]}"#;
const REPORTS: [&[u8]; 4] = [
    include_bytes!("../fixtures/gitleaks-before.sarif.json"),
    include_bytes!("../fixtures/hadolint-before.sarif.json"),
    include_bytes!("../fixtures/syft-cyclonedx.json"),
    JUNIT,
];

fn read_by_all(bytes: &[u8]) {
    drop(sarif::parse(bytes));
    drop(junit::parse(bytes));
    drop(cyclonedx::parse(bytes));
    if let Ok(record) = Record::parse(bytes) {
        for affected in &record.affected {
            if let Some(ecosystem) =
                crate::finding::advisory::Ecosystem::of_osv(&affected.ecosystem)
            {
                affected.verdict(&ecosystem, "1.0");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_mangled_report_never_panics(
        which in 0..REPORTS.len() + 1,
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        instead in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = REPORTS.get(which).copied().unwrap_or(RECORD).to_vec();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, instead);
        read_by_all(&bytes);
    }

    #[test]
    fn no_version_text_panics(a in "[0-9a-z.:~+!^ -]{0,24}", b in "\\PC{0,12}") {
        use crate::finding::advisory::Ecosystem;
        for ecosystem in ["PyPI", "crates.io", "npm", "Go", "Debian:12"] {
            let ecosystem = Ecosystem::of_osv(ecosystem).unwrap();
            ecosystem.compare(&a, &b);
            // A version equals itself, and the order does not depend on who is asked first.
            if ecosystem.is_version(&a) && ecosystem.is_version(&b) {
                let back = ecosystem.compare(&b, &a).map(std::cmp::Ordering::reverse);
                prop_assert_eq!(ecosystem.compare(&a, &b), back);
            }
        }
    }
}
