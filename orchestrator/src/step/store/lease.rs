//! All SQL of leases: who holds one, its end by a report, by time or by a person, and those that were.

use super::super::state::{LeaseKey, Step, StepId};
use super::StepRow;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::fleet::WorkerId;
use crate::run::{Cause, RunId};

/// Extends a lease that is still held, never shortens it; its end then and whether the run is to be
/// ended, or nothing when it is lost.
pub(in crate::step) async fn extend(
    conn: &mut Conn,
    key: &LeaseKey,
    ends_at: At,
    phase: &str,
) -> Result<Option<(At, bool)>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64, i64),
        "UPDATE step SET phase = $1,
                lease_ends_at = CASE WHEN lease_ends_at > $2 THEN lease_ends_at ELSE $2 END
         WHERE id = $3 AND fence = $4 AND worker_id = $5 AND state = 'leased'
         RETURNING lease_ends_at,
                   (SELECT CASE WHEN r.cancel_at IS NULL THEN 0 ELSE 1 END
                    FROM run r WHERE r.id = step.run_id) + CAST(0 AS BIGINT)",
        phase,
        ends_at.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(row.map(|(ends_at, cancel)| (At(ends_at), cancel != 0)))
}

/// Extends a lease that is still held up to this moment or its deadline, never shortens it; its end
/// then, or nothing when it is lost.
pub(in crate::step) async fn outlast(
    conn: &mut Conn,
    key: &LeaseKey,
    moment: At,
) -> Result<Option<At>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "UPDATE step SET lease_ends_at = CASE
                WHEN lease_ends_at > $1 THEN lease_ends_at
                WHEN deadline_at < $1 THEN deadline_at
                ELSE $1 END
         WHERE id = $2 AND fence = $3 AND worker_id = $4 AND state = 'leased'
         RETURNING lease_ends_at",
        moment.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(row.map(|(ends_at,)| At(ends_at)))
}

/// The step, when this lease on it is still held.
pub(in crate::step) async fn held(conn: &mut Conn, key: &LeaseKey) -> Result<Option<Step>, Error> {
    let row = crate::fetch_optional!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE id = $1 AND fence = $2 AND worker_id = $3 AND state = 'leased'",
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    row.map(Step::try_from).transpose()
}

pub(in crate::step) async fn held_by(
    conn: &mut Conn,
    worker: &WorkerId,
) -> Result<Vec<Step>, Error> {
    let rows = crate::fetch_all!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE worker_id = $1 AND state = 'leased' ORDER BY id",
        worker.as_str()
    )?;
    rows.into_iter().map(Step::try_from).collect()
}

/// Leases that ran out, or whose deadline passed, before this moment.
pub(in crate::step) async fn overdue(
    conn: &mut Conn,
    before: At,
    limit: i64,
) -> Result<Vec<Step>, Error> {
    let rows = crate::fetch_all!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE state = 'leased' AND (lease_ends_at < $1 OR deadline_at < $1)
         ORDER BY lease_ends_at, id LIMIT $2",
        before.0,
        limit
    )?;
    rows.into_iter().map(Step::try_from).collect()
}

/// Open steps of runs whose end was asked for, with the one who asked and when.
pub(in crate::step) async fn cancelled(
    conn: &mut Conn,
    limit: i64,
) -> Result<Vec<(String, String, i64)>, Error> {
    crate::fetch_all!(
        conn,
        (String, String, i64),
        "SELECT s.id, r.cancel_by, r.cancel_at FROM run r JOIN step s ON s.run_id = r.id
         WHERE r.state IN ('waiting', 'running') AND r.cancel_at IS NOT NULL
           AND s.state IN ('blocked', 'ready', 'leased')
         ORDER BY r.cancel_at, s.id LIMIT $1",
        limit
    )
}

/// Ends the step's work under this fence for good.
pub(in crate::step) async fn finish(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
    cause: &Cause,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE step SET state = 'finished', cause = $1, cause_detail = $2, finished_at = $3,
                lease_ends_at = NULL, phase = NULL
         WHERE id = $4 AND fence = $5 AND state IN ('leased', 'reported')",
        cause.word(),
        cause.detail(),
        now.0,
        step.as_str(),
        fence
    )?;
    if rows == 1 {
        end_lease(conn, step, fence, cause, now).await?;
    }
    Ok(rows == 1)
}

/// Ends the step's work under this fence and makes it ready once more.
pub(in crate::step) async fn retry(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
    cause: &Cause,
    not_before: At,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE step SET state = 'ready', not_before_at = $1, lease_ends_at = NULL, deadline_at = NULL,
                phase = NULL, reported_at = NULL
         WHERE id = $2 AND fence = $3 AND state IN ('leased', 'reported')",
        not_before.0,
        step.as_str(),
        fence
    )?;
    if rows == 1 {
        end_lease(conn, step, fence, cause, now).await?;
    }
    Ok(rows == 1)
}

async fn end_lease(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
    cause: &Cause,
    now: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE lease SET ended_at = $1, cause = $2, cause_detail = $3
         WHERE step_id = $4 AND fence = $5 AND ended_at IS NULL",
        now.0,
        cause.word(),
        cause.detail(),
        step.as_str(),
        fence
    )?;
    Ok(())
}

/// A lease that a step has or had.
#[derive(Debug, Clone)]
pub struct PastLease {
    /// Whose.
    pub step: StepId,
    /// Its fencing number, from 1: the attempt.
    pub fence: i64,
    /// The worker's name.
    pub worker: String,
    /// When it began.
    pub leased_at: At,
    /// When and why it ended; none while it is held, and until a report is proved.
    pub ended: Option<(At, Cause)>,
}

#[derive(sqlx::FromRow)]
struct LeaseRow {
    step_id: String,
    fence: i64,
    name: String,
    leased_at: i64,
    ended_at: Option<i64>,
    cause: Option<String>,
    cause_detail: Option<String>,
}

impl TryFrom<LeaseRow> for PastLease {
    type Error = Error;
    fn try_from(row: LeaseRow) -> Result<Self, Error> {
        let LeaseRow {
            step_id,
            fence,
            name,
            leased_at,
            ended_at,
            cause,
            cause_detail,
        } = row;
        let bad = |column| Error::Inconsistent {
            table: "lease",
            column,
            id: format!("{step_id} {fence}"),
        };
        let ended = match (ended_at, cause) {
            (Some(at), Some(word)) => {
                let cause = Cause::stored(&word, cause_detail).ok_or_else(|| bad("cause"))?;
                Some((At(at), cause))
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(bad("ended_at, cause")),
        };
        Ok(Self {
            step: StepId::parse(&step_id).map_err(|_| bad("step_id"))?,
            fence,
            worker: name,
            leased_at: At(leased_at),
            ended,
        })
    }
}

/// Every lease of the steps of a run, the first one of each step first.
pub async fn leases(conn: &mut Conn, run: &RunId) -> Result<Vec<PastLease>, Error> {
    let rows = crate::fetch_all!(
        conn,
        LeaseRow,
        "SELECT l.step_id, l.fence, w.name, l.leased_at, l.ended_at, l.cause, l.cause_detail
         FROM lease l JOIN step s ON s.id = l.step_id JOIN worker w ON w.id = l.worker_id
         WHERE s.run_id = $1 ORDER BY s.ordinal, l.fence",
        run.as_str()
    )?;
    rows.into_iter().map(PastLease::try_from).collect()
}
