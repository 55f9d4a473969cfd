//! All SQL of the steps' tables.

mod claim;
mod lease;
mod log;
mod artifact;
mod report;

pub use artifact::{ArtifactRow, artifact, artifacts};
pub(super) use artifact::{NewArtifact, insert_artifact};
pub use claim::open_by_state;
pub(super) use claim::{any_ready, has_place, lease, leased_by, next_ready};
pub use lease::{PastLease, leases};
pub(super) use lease::{cancelled, extend, finish, held, held_by, outlast, overdue, retry};
pub(super) use log::{ChunkRow, chunk, insert_chunk, last_chunk, log_dropped, log_sum};
pub use report::claimed;
pub(super) use report::{ReportRow, insert_report, report};

use super::state::{Lease, Step, StepId, StepState};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::fleet::WorkerId;
use crate::run::{Cause, RunId};
use contract::name::Name;

#[derive(sqlx::FromRow)]
struct StepRow {
    id: String,
    run_id: String,
    project_id: String,
    name: String,
    kind: String,
    ordinal: i64,
    work: String,
    timeout_ms: i64,
    state: String,
    cause: Option<String>,
    cause_detail: Option<String>,
    fence: i64,
    attempts: i64,
    not_before_at: i64,
    worker_id: Option<String>,
    lease_ends_at: Option<i64>,
    deadline_at: Option<i64>,
    phase: Option<String>,
    ready_at: Option<i64>,
    leased_at: Option<i64>,
    started_at: Option<i64>,
    first_output_at: Option<i64>,
    reported_at: Option<i64>,
    finished_at: Option<i64>,
}

impl StepRow {
    /// The state that the columns say together; none when no code of ours could have written them.
    fn state(&self, worker: Option<&WorkerId>) -> Option<StepState> {
        let cause = match &self.cause {
            Some(word) => Some(Cause::stored(word, self.cause_detail.clone())?),
            None => None,
        };
        Some(match (self.state.as_str(), cause, self.finished_at) {
            ("blocked", None, None) => StepState::Blocked,
            ("ready", None, None) => StepState::Ready {
                not_before: At(self.not_before_at),
            },
            ("leased", None, None) => StepState::Leased(Lease {
                worker: worker?.clone(),
                fence: self.fence,
                ends_at: At(self.lease_ends_at?),
                deadline_at: At(self.deadline_at?),
            }),
            ("reported", None, None) => StepState::Reported {
                at: At(self.reported_at?),
                fence: self.fence,
            },
            ("finished", Some(cause), Some(at)) => StepState::Finished { cause, at: At(at) },
            ("skipped", Some(cause), Some(at)) => StepState::Skipped { cause, at: At(at) },
            (_, _, _) => return None,
        })
    }
}

impl TryFrom<StepRow> for Step {
    type Error = Error;
    fn try_from(row: StepRow) -> Result<Self, Error> {
        let bad = |column| Error::Inconsistent {
            table: "step",
            column,
            id: row.id.clone(),
        };
        let worker_id = match &row.worker_id {
            Some(worker) => Some(WorkerId::parse(worker).map_err(|_| bad("worker_id"))?),
            None => None,
        };
        Ok(Self {
            state: row.state(worker_id.as_ref()).ok_or_else(|| bad("state"))?,
            run_id: RunId::parse(&row.run_id).map_err(|_| bad("run_id"))?,
            name: Name::parse(&row.name).map_err(|_| bad("name"))?,
            id: StepId::parse(&row.id).map_err(|_| bad("id"))?,
            project_id: row.project_id,
            kind: row.kind,
            ordinal: row.ordinal,
            work: row.work,
            timeout_ms: row.timeout_ms,
            fence: row.fence,
            attempts: row.attempts,
            worker_id,
            phase: row.phase,
            ready_at: row.ready_at.map(At),
            leased_at: row.leased_at.map(At),
            started_at: row.started_at.map(At),
            first_output_at: row.first_output_at.map(At),
        })
    }
}

/// The steps of a run, in the order of the file.
pub async fn list(conn: &mut Conn, run: &RunId) -> Result<Vec<Step>, Error> {
    let rows = crate::fetch_all!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE run_id = $1 ORDER BY ordinal",
        run.as_str()
    )?;
    rows.into_iter().map(Step::try_from).collect()
}

/// One step of a run.
pub async fn by_name(conn: &mut Conn, run: &RunId, name: &Name) -> Result<Option<Step>, Error> {
    let row = crate::fetch_optional!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE run_id = $1 AND name = $2",
        run.as_str(),
        name.as_str()
    )?;
    row.map(Step::try_from).transpose()
}

pub(super) async fn by_id(conn: &mut Conn, id: &StepId) -> Result<Option<Step>, Error> {
    let row = crate::fetch_optional!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE id = $1",
        id.as_str()
    )?;
    row.map(Step::try_from).transpose()
}

/// Steps whose worker is done and that are not proved yet, oldest first: what `image` and `finding`
/// find.
pub async fn reported(conn: &mut Conn, limit: i64) -> Result<Vec<Step>, Error> {
    let rows = crate::fetch_all!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE state = 'reported' ORDER BY reported_at, id LIMIT $1",
        limit
    )?;
    rows.into_iter().map(Step::try_from).collect()
}

pub(super) struct NewStep<'a> {
    pub(super) id: &'a StepId,
    pub(super) run_id: &'a RunId,
    pub(super) project_id: &'a str,
    pub(super) name: &'a Name,
    pub(super) kind: &'a str,
    pub(super) ordinal: i64,
    pub(super) work: &'a str,
    pub(super) timeout_ms: i64,
    pub(super) parallel_max: i64,
}

pub(super) async fn insert(conn: &mut Conn, new: NewStep<'_>) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO step (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max,
                           state, fence, attempts, not_before_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'blocked', 0, 0, 0)",
        new.id.as_str(),
        new.run_id.as_str(),
        new.project_id,
        new.name.as_str(),
        new.kind,
        new.ordinal,
        new.work,
        new.timeout_ms,
        new.parallel_max
    )?;
    Ok(())
}

pub(super) async fn insert_need(
    conn: &mut Conn,
    step: &StepId,
    needs: &StepId,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO step_need (step_id, needs_id) VALUES ($1, $2)",
        step.as_str(),
        needs.as_str()
    )?;
    Ok(())
}

pub(super) async fn needs(conn: &mut Conn, run: &RunId) -> Result<Vec<(String, String)>, Error> {
    crate::fetch_all!(
        conn,
        (String, String),
        "SELECT n.step_id, n.needs_id FROM step_need n JOIN step s ON s.id = n.step_id
         WHERE s.run_id = $1",
        run.as_str()
    )
}

pub(super) async fn unblock(conn: &mut Conn, step: &StepId, now: At) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE step SET state = 'ready', not_before_at = $1, ready_at = $1
         WHERE id = $2 AND state = 'blocked'",
        now.0,
        step.as_str()
    )?;
    Ok(())
}

pub(super) async fn skip(
    conn: &mut Conn,
    step: &StepId,
    cause: &Cause,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE step SET state = 'skipped', cause = $1, cause_detail = $2, finished_at = $3
         WHERE id = $4 AND state IN ('blocked', 'ready')",
        cause.word(),
        cause.detail(),
        now.0,
        step.as_str()
    )?;
    Ok(rows == 1)
}
