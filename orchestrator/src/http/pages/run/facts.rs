//! What came out of a run: complaints, tests, findings, artifacts, attestations.

use super::super::query::address;
use super::{Look, PageError, Status, size, words};
use crate::db::Conn;
use crate::finding::{self, Location, Open};
use crate::history::finding as listed;
use crate::history::{self, EnvironmentRow};
use crate::identity::Reach;
use crate::project;
use crate::run::{self, Run};
use crate::step::{self, Step};
use serde::Deserialize;
use std::collections::HashSet;

/// Findings that the page lists; it counts all.
const FINDINGS_MAX: usize = 100;
/// Failing tests that the page shows with their message.
const FAILED_TESTS_MAX: usize = 50;

/// A complaint about the commit's files, as a terminal shows it.
pub(super) struct Complaint {
    pub(super) text: String,
}

/// A stored file.
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) step: String,
    pub(super) bytes: String,
    pub(super) link: String,
}

/// The tests of all steps.
pub(super) struct Tests {
    pub(super) status: Status,
    pub(super) words: String,
    pub(super) failed: Vec<Failed>,
    pub(super) more: usize,
    pub(super) reports: Vec<Report>,
}

/// A test that did not pass.
pub(super) struct Failed {
    pub(super) name: String,
    pub(super) word: &'static str,
    pub(super) message: String,
    pub(super) took: String,
    pub(super) step: String,
    pub(super) link: String,
}

/// One JUnit file.
pub(super) struct Report {
    pub(super) step: String,
    pub(super) file: String,
    pub(super) words: String,
}

/// A finding.
pub(super) struct Found {
    pub(super) severity: Status,
    pub(super) title: String,
    pub(super) rule: String,
    /// The run's findings of this rule.
    pub(super) link: String,
    pub(super) place: String,
    pub(super) fixed_in: Option<String>,
    /// Whether what was promoted last has it not; none: nothing was.
    pub(super) is_new: Option<bool>,
}

/// The findings of a run.
pub(super) struct Findings {
    /// What is new first, then the worst.
    pub(super) shown: Vec<Found>,
    pub(super) all: usize,
    /// What was promoted last, and how many findings it does not have.
    pub(super) since: Option<Since>,
}

/// What a run's findings are compared with.
pub(super) struct Since {
    pub(super) environment: String,
    pub(super) number: i64,
    /// Whether that is this very run.
    pub(super) is_own: bool,
    pub(super) new: usize,
}

/// A test as `finding` keeps it.
#[derive(Deserialize)]
struct Case {
    suite: String,
    name: String,
    outcome: String,
    message: Option<String>,
    duration_ms: Option<u64>,
}

pub(super) async fn complaints(conn: &mut Conn, run: &Run) -> Result<Vec<Complaint>, PageError> {
    let complaints = run::complaints(conn, &run.id)
        .await
        .map_err(PageError::log)?;
    let text = |complaint: serde_json::Value| {
        let rendered = complaint
            .get("rendered")
            .and_then(serde_json::Value::as_str);
        Complaint {
            text: rendered.map_or_else(|| complaint.to_string(), ToOwned::to_owned),
        }
    };
    Ok(complaints.into_iter().map(text).collect())
}

pub(super) async fn artifacts(
    conn: &mut Conn,
    steps: &[Step],
    base: &str,
) -> Result<Vec<Kept>, PageError> {
    let mut all = Vec::new();
    for step in steps {
        let rows = step::artifacts(conn, &step.id, step.fence)
            .await
            .map_err(PageError::log)?;
        all.extend(rows.into_iter().map(|row| Kept {
            link: format!("{base}/artifacts/{}", row.id),
            name: row.name,
            step: step.name.to_string(),
            bytes: size(row.bytes),
        }));
    }
    Ok(all)
}

pub(super) async fn tests(
    conn: &mut Conn,
    run: &Run,
    base: &str,
) -> Result<Option<Tests>, PageError> {
    let reports = finding::reports_of_run(conn, run.id.as_str())
        .await
        .map_err(PageError::log)?;
    let reports: Vec<_> = reports
        .into_iter()
        .filter(|report| report.format == "junit")
        .collect();
    if reports.is_empty() {
        return Ok(None);
    }
    let sum =
        |of: fn(&finding::ReportRow) -> Option<i64>| -> i64 { reports.iter().filter_map(of).sum() };
    let passed = sum(|r| r.tests_passed);
    let bad = sum(|r| r.tests_failed) + sum(|r| r.tests_errored);
    let skipped = sum(|r| r.tests_skipped);
    let unread = reports.iter().filter(|r| r.outcome != "read").count();
    let mut failed: Vec<Failed> = Vec::new();
    for report in &reports {
        let cases = report.tests.as_deref().unwrap_or("[]");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap_or_default();
        let bad = cases
            .into_iter()
            .filter_map(|case| failed_case(case, &report.step, base));
        failed.extend(bad);
    }
    let more = failed.len().saturating_sub(FAILED_TESTS_MAX);
    failed.truncate(FAILED_TESTS_MAX);
    let status = match (bad, unread) {
        (0, 0) => Status::new(Look::Pass, "pass", "Passed"),
        (0, _) => Status::new(Look::Wait, "warn", "Not all could be read"),
        (_, _) => Status::new(Look::Fail, "fail", "Failed"),
    };
    Ok(Some(Tests {
        status,
        words: format!(
            "{passed} of {} passed, {bad} failed, {skipped} skipped",
            passed + bad + skipped
        ),
        failed,
        more,
        reports: reports.iter().map(report).collect(),
    }))
}

fn report(row: &finding::ReportRow) -> Report {
    let number = |count: Option<i64>| count.unwrap_or(0);
    Report {
        step: row.step.clone(),
        file: row.tool.clone(),
        words: if row.outcome == "read" {
            format!(
                "{} passed, {} failed, {} skipped",
                number(row.tests_passed),
                number(row.tests_failed) + number(row.tests_errored),
                number(row.tests_skipped)
            )
        } else {
            format!("{}: {}", row.outcome, row.detail)
        },
    }
}

fn failed_case(case: Case, step: &str, base: &str) -> Option<Failed> {
    let word = match case.outcome.as_str() {
        "failed" => "Failed",
        "errored" => "Broke",
        _ => return None,
    };
    let name = if case.suite.is_empty() {
        case.name
    } else {
        format!("{}::{}", case.suite, case.name)
    };
    Some(Failed {
        name,
        word,
        message: case.message.unwrap_or_default(),
        took: case.duration_ms.map_or_else(String::new, |ms| {
            format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
        }),
        step: step.to_owned(),
        link: format!("{base}/steps/{step}"),
    })
}

/// What stands open, against what was promoted last: what the last environment of the settings' order
/// that holds anything holds.
pub(super) async fn findings(
    conn: &mut Conn,
    run: &Run,
    reach: &Reach,
) -> Result<Findings, PageError> {
    let open = finding::open_in_run(conn, run.id.as_str())
        .await
        .map_err(PageError::log)?;
    let promoted = last_promoted(conn, run, reach).await?;
    let known = match &promoted {
        Some(held) => {
            let known = listed::fingerprints(conn, &held.run_id).await;
            Some(known.map_err(PageError::log)?)
        }
        None => None,
    };
    let known: Option<HashSet<String>> = known.map(|known| known.into_iter().collect());
    let all = open.len();
    let mut rows: Vec<Found> = open
        .into_iter()
        .map(|open| {
            let fingerprint = open.finding.fingerprint.hex();
            let is_new = known.as_ref().map(|known| !known.contains(&fingerprint));
            row(run, open, is_new)
        })
        .collect();
    let since = promoted.map(|held| Since {
        is_own: held.run_id == run.id.as_str(),
        environment: held.environment,
        number: held.run_number,
        new: rows.iter().filter(|row| row.is_new == Some(true)).count(),
    });
    // The order by severity stays within both.
    rows.sort_by_key(|row| row.is_new != Some(true));
    rows.truncate(FINDINGS_MAX);
    Ok(Findings {
        shown: rows,
        all,
        since,
    })
}

async fn last_promoted(
    conn: &mut Conn,
    run: &Run,
    reach: &Reach,
) -> Result<Option<EnvironmentRow>, PageError> {
    let held = history::environments(conn, reach).await;
    let mut held = held.map_err(PageError::log)?;
    held.retain(|one| one.project_id == run.project_id);
    let settings = project::current_settings(conn, &run.project_id).await;
    let settings = settings.map_err(PageError::log)?;
    let order = settings.map(|version| version.settings.environments);
    let mut names = order.iter().flatten().rev().map(|one| one.name.as_str());
    let at = names.find_map(|name| held.iter().position(|one| one.environment == name));
    Ok(at.map(|at| held.swap_remove(at)))
}

fn row(run: &Run, open: Open, is_new: Option<bool>) -> Found {
    let finding = open.finding;
    let (place, fixed_in) = match finding.location {
        Location::File { path, line } => {
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            (format!("{path}{line}"), None)
        }
        Location::Package(at) => (format!("{} {}", at.name, at.version), at.fixed_in),
        Location::Nowhere => (String::new(), None),
    };
    let place = match open.image {
        Some(image) if place.is_empty() => format!("image {image}"),
        Some(image) => format!("{place} in image {image}"),
        None => place,
    };
    Found {
        severity: words::severity(finding.severity.as_str()),
        title: finding.title,
        link: address(
            &format!("/projects/{}/findings", run.project),
            [
                ("in", run.number.to_string()),
                ("rule", finding.rule.clone()),
            ]
            .iter(),
        ),
        rule: format!("{} {}", finding.tool, finding.rule),
        place,
        fixed_in,
        is_new,
    }
}
