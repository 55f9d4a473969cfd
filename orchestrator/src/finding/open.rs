//! What is known against a release, for its gate: read fresh, in the caller's connection, so that a
//! gate can read it again in the transaction that writes a promotion.

use super::advisory::{self, Advisories, Judged, NotChecked, Source};
use super::state::Severity;
use super::store::{self, Open};
use crate::db::{Conn, Error};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that scanners, tests and advisories say about a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What stands open in its run and images, worst first.
    pub findings: Vec<Open>,
    /// Packages that nothing could judge (DECISIONS 28).
    pub not_checked: Vec<NotChecked>,
    /// Images without a bill of materials: nothing is known about what they hold.
    pub unscanned: Vec<String>,
    /// Packages that the bills of materials name.
    pub packages: usize,
    /// Images that were judged by other advisories than today's: the next pass judges them.
    pub outdated: Vec<String>,
    /// The advisories that the packages were judged by.
    pub sources: Vec<Source>,
    /// Tests of the run.
    pub tests: TestTotals,
}

/// Tests of all steps of a run, as we counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestTotals {
    /// Passed.
    pub passed: i64,
    /// An assertion failed.
    pub failed: i64,
    /// Broke.
    pub errored: i64,
    /// Were not run.
    pub skipped: i64,
}

impl Known {
    /// The findings that a rule with this threshold counts. What a tool marks as suppressed counts
    /// too: the mark comes from the commit under test.
    pub fn at_or_above(&self, threshold: Severity) -> impl Iterator<Item = &Open> {
        let counts = move |open: &&Open| open.finding.severity.counts_at(threshold);
        self.findings.iter().filter(counts)
    }

    /// Packages that could not be judged and whose ecosystem (purl type) is not accepted, by
    /// ecosystem.
    pub fn not_accepted(&self, accepted: &[String]) -> BTreeMap<String, usize> {
        let mut kinds = advisory::not_checked_by_kind(&self.not_checked);
        kinds.retain(|kind, _| !accepted.contains(kind));
        kinds
    }

    /// Whether it was looked at and holds nothing that an advisory could be about.
    pub fn holds_no_packages(&self) -> bool {
        self.unscanned.is_empty() && self.packages == 0
    }

    /// When the oldest of the sources was confirmed last, µs since 1970 UTC; none when there is no
    /// source.
    pub fn confirmed_at(&self) -> Option<i64> {
        self.sources.iter().map(|source| source.confirmed_at).min()
    }
}

/// What nothing could judge in a run's images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unchecked {
    /// Packages that could not be judged.
    pub packages: Vec<NotChecked>,
    /// Images without a bill of materials.
    pub unscanned: Vec<String>,
    /// How many packages were looked at, the ones that could not be judged among them.
    pub looked_at: usize,
    /// All advisories that there are, by ecosystem.
    pub sources: Vec<Source>,
}

/// What nothing could judge in a run's images, for pages: the same question as a gate's, also for a
/// run that made no release.
pub async fn unchecked_in_run(conn: &mut Conn, run_id: &str) -> Result<Unchecked, Error> {
    let sources = advisory::sources(conn).await?;
    let covered = Advisories::covering(sources.iter().map(|source| source.ecosystem.clone()));
    let mut unchecked = Unchecked {
        sources,
        ..Unchecked::default()
    };
    for image in store::images_of_run(conn, run_id).await? {
        if image.sbom.is_none() {
            unchecked.unscanned.push(image.name);
            continue;
        }
        let packages = store::packages(conn, &image.image_id).await?;
        unchecked.looked_at += packages.len();
        let Judged { not_checked, .. } = advisory::judge(&packages, &covered);
        unchecked.packages.extend(not_checked);
    }
    unchecked.packages.sort();
    unchecked.packages.dedup();
    Ok(unchecked)
}

/// What is known against a release; none when there is no such release.
pub async fn open_for_release(conn: &mut Conn, release_id: &str) -> Result<Option<Known>, Error> {
    let Some(run_id) = store::run_of_release(conn, release_id).await? else {
        return Ok(None);
    };
    let sources = advisory::sources(conn).await?;
    let version = advisory::version_of(&sources);
    let mut known = Known {
        findings: store::open_in_run(conn, &run_id).await?,
        ..Known::default()
    };
    // Whether a package can be judged hangs on the sources alone; its findings are stored.
    let covered = Advisories::covering(sources.iter().map(|source| source.ecosystem.clone()));
    let mut judged_by = BTreeSet::new();
    for image in store::images_of_release(conn, release_id).await? {
        if image.sbom.is_none() {
            known.unscanned.push(image.name);
            continue;
        }
        if image.advisories.as_deref() != Some(version.as_str()) {
            known.outdated.push(image.name);
        }
        let packages = store::packages(conn, &image.image_id).await?;
        known.packages += packages.len();
        let Judged { not_checked, .. } = advisory::judge(&packages, &covered);
        known.not_checked.extend(not_checked);
        judged_by.extend(advisory::ecosystems_of(&packages));
    }
    known.not_checked.sort();
    known.not_checked.dedup();
    known.sources = sources
        .into_iter()
        .filter(|source| judged_by.contains(&source.ecosystem))
        .collect();
    for report in store::reports_of_run(conn, &run_id).await? {
        let totals = &mut known.tests;
        totals.passed += report.tests_passed.unwrap_or(0);
        totals.failed += report.tests_failed.unwrap_or(0);
        totals.errored += report.tests_errored.unwrap_or(0);
        totals.skipped += report.tests_skipped.unwrap_or(0);
    }
    Ok(Some(known))
}
