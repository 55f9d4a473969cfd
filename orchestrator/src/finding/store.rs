//! All SQL of reports, verdicts, findings, packages and bills of materials. What waits is read from
//! the step's rows, which are never written here.

mod report;
mod open;
mod package;

pub use open::{OPEN_MAX, Open, open_in_run};
pub(super) use open::{Owner, close_findings, upsert_finding};
pub use package::packages;
pub(super) use package::{Stale, images_of_release, images_of_run, note_judged, put_sbom, stale};
pub use report::{ReportRow, reports_of_run, verdict};
pub(super) use report::{insert_report, insert_verdict};

use crate::db::{Conn, Error};
use contract::protocol::Report;

/// Steps that one pass takes: each brings megabytes of reports.
const WAITING_MAX: i64 = 8;

/// A reported step that has no verdict yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The step.
    pub step_id: String,
    /// Its run.
    pub run_id: String,
    /// Its project.
    pub project_id: String,
    /// The fence of the lease that reported.
    pub fence: i64,
    /// Its part of the plan, as JSON.
    pub work: String,
    /// What the worker said; none when that cannot be read (it was checked when it came in).
    pub report: Option<Report>,
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    step_id: String,
    run_id: String,
    project_id: String,
    fence: i64,
    work: String,
    payload: String,
}

/// The reported steps whose reports nobody has read, oldest first.
pub async fn waiting(conn: &mut Conn) -> Result<Vec<Waiting>, Error> {
    let rows = crate::fetch_all!(
        conn,
        WaitingRow,
        "SELECT s.id AS step_id, s.run_id, s.project_id, s.fence, s.work, r.payload
         FROM step s JOIN report r ON r.step_id = s.id AND r.fence = s.fence
         WHERE s.state = 'reported' AND s.kind IN ('analyze', 'scan', 'test', 'run')
           AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.step_id = s.id AND v.fence = s.fence)
         ORDER BY r.received_at, s.id LIMIT $1",
        WAITING_MAX
    )?;
    Ok(rows.into_iter().map(Waiting::from).collect())
}

impl From<WaitingRow> for Waiting {
    fn from(row: WaitingRow) -> Self {
        let WaitingRow {
            step_id,
            run_id,
            project_id,
            fence,
            work,
            payload,
        } = row;
        Self {
            step_id,
            run_id,
            project_id,
            fence,
            work,
            report: serde_json::from_str(&payload).ok(),
        }
    }
}

/// A stored file of a step: id, name, digest.
pub(super) type ArtifactRow = (String, String, String);

/// The files that a lease stored.
pub(super) async fn artifacts(
    conn: &mut Conn,
    step_id: &str,
    fence: i64,
) -> Result<Vec<ArtifactRow>, Error> {
    crate::fetch_all!(
        conn,
        ArtifactRow,
        "SELECT id, name, digest FROM artifact WHERE step_id = $1 AND fence = $2 ORDER BY name",
        step_id,
        fence
    )
}

/// The image of this name that the run's finished build made.
pub(super) async fn image_of_run(
    conn: &mut Conn,
    run_id: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT i.id FROM image i JOIN step b ON b.id = i.step_id AND b.fence = i.fence
         WHERE i.run_id = $1 AND i.name = $2",
        run_id,
        name
    )?;
    Ok(row.map(|(id,)| id))
}

/// The run that a release came from.
pub(super) async fn run_of_release(
    conn: &mut Conn,
    release_id: &str,
) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT run_id FROM release WHERE id = $1",
        release_id
    )?;
    Ok(row.map(|(id,)| id))
}
