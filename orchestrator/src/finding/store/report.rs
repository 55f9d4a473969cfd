//! All SQL of verdicts, and of how reports were read.

use super::super::parse::junit::TestCase;
use super::super::verdict::{ReportRead, Verdict};
use super::Waiting;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::id::IdSource;

/// Writes the verdict while the step still waits for it under this fence; false when it does not.
pub(in crate::finding) async fn insert_verdict(
    conn: &mut Conn,
    waiting: &Waiting,
    verdict: &Verdict,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO verdict (step_id, fence, outcome, detail, given_at)
         SELECT s.id, s.fence, $3, $4, $5 FROM step s
         WHERE s.id = $1 AND s.fence = $2 AND s.state = 'reported'
         ON CONFLICT (step_id, fence) DO NOTHING",
        &waiting.step_id,
        waiting.fence,
        verdict.as_str(),
        verdict.detail(),
        at.0
    )?;
    Ok(inserted == 1)
}

/// The verdict over a step under this fence, once there is one.
pub async fn verdict(conn: &mut Conn, step_id: &str, fence: i64) -> Result<Option<Verdict>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, String),
        "SELECT outcome, detail FROM verdict WHERE step_id = $1 AND fence = $2",
        step_id,
        fence
    )?;
    row.map(|(outcome, detail)| {
        Verdict::of_row(&outcome, detail).ok_or_else(|| Error::Inconsistent {
            table: "verdict",
            column: "outcome",
            id: step_id.to_owned(),
        })
    })
    .transpose()
}

/// Writes how one report was read.
pub(in crate::finding) async fn insert_report(
    conn: &mut Conn,
    ids: &dyn IdSource,
    waiting: &Waiting,
    read: &ReportRead,
    at: At,
) -> Result<(), Error> {
    let tests = read.tests.as_ref();
    let cases = tests.map(|tests| cases_json(&tests.cases));
    crate::execute!(
        conn,
        "INSERT INTO finding_report (id, step_id, fence, artifact_id, tool, format, outcome, detail,
             tests_passed, tests_failed, tests_errored, tests_skipped, tests, read_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (step_id, fence, format, tool) DO NOTHING",
        ids.uuid().to_string(),
        &waiting.step_id,
        waiting.fence,
        read.artifact_id.as_deref(),
        &read.tool,
        read.format,
        read.outcome,
        &read.detail,
        tests.map(|tests| i64::from(tests.passed)),
        tests.map(|tests| i64::from(tests.failed)),
        tests.map(|tests| i64::from(tests.errored)),
        tests.map(|tests| i64::from(tests.skipped)),
        cases,
        at.0
    )?;
    Ok(())
}

/// The form of `finding_report.tests`, version 1: an array of objects, failing ones first.
fn cases_json(cases: &[TestCase]) -> String {
    let mut sorted: Vec<&TestCase> = cases.iter().collect();
    sorted.sort_by_key(|case| std::cmp::Reverse(case.outcome));
    let cases: Vec<serde_json::Value> = sorted
        .into_iter()
        .map(|case| {
            serde_json::json!({
                "suite": case.suite,
                "name": case.name,
                "outcome": case.outcome.as_str(),
                "message": case.message,
                "duration_ms": case.duration_ms,
            })
        })
        .collect();
    serde_json::Value::Array(cases).to_string()
}

/// How one report was read, as pages show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ReportRow {
    /// The step.
    pub step: String,
    /// The tool, or the JUnit file.
    pub tool: String,
    /// `sarif`, `junit` or `cyclonedx`.
    pub format: String,
    /// `read`, `unreadable`, `missing` or `did-not-run`.
    pub outcome: String,
    /// Why, or what was in it.
    pub detail: String,
    /// Tests that passed.
    pub tests_passed: Option<i64>,
    /// Tests whose assertion failed.
    pub tests_failed: Option<i64>,
    /// Tests that broke.
    pub tests_errored: Option<i64>,
    /// Tests that were not run.
    pub tests_skipped: Option<i64>,
    /// The cases as JSON: `[{suite, name, outcome, message, duration_ms}]`, failing ones first.
    pub tests: Option<String>,
}

/// The reports of a run's steps.
pub async fn reports_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<ReportRow>, Error> {
    crate::fetch_all!(
        conn,
        ReportRow,
        "SELECT s.name AS step, r.tool, r.format, r.outcome, r.detail, r.tests_passed, r.tests_failed,
             r.tests_errored, r.tests_skipped, r.tests
         FROM finding_report r JOIN step s ON s.id = r.step_id AND s.fence = r.fence
         WHERE s.run_id = $1 ORDER BY s.ordinal, r.format, r.tool",
        run_id
    )
}
