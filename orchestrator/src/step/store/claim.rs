//! All SQL of claims: what is ready, whether a worker and a project have a place, the lease that is given.

use super::super::state::{Step, StepId};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::fleet::WorkerId;

/// How many steps a worker has under lease. On PostgreSQL its row is locked first, so that two
/// claims of one worker do not both see the last free slot.
pub(in crate::step) async fn leased_by(conn: &mut Conn, worker: &WorkerId) -> Result<i64, Error> {
    if conn.is_postgres() {
        let _locked = crate::fetch_optional!(
            conn,
            (String,),
            "SELECT id FROM worker WHERE id = $1 FOR UPDATE",
            worker.as_str()
        )?;
    }
    let (count,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT COUNT(*) FROM step WHERE worker_id = $1 AND state = 'leased'",
        worker.as_str()
    )?;
    Ok(count)
}

/// Steps that are ready, leased or reported, by state.
pub async fn open_by_state(conn: &mut Conn) -> Result<Vec<(String, i64)>, Error> {
    crate::fetch_all!(
        conn,
        (String, i64),
        "SELECT state, COUNT(*) FROM step WHERE state = 'ready' GROUP BY state
         UNION ALL
         SELECT state, COUNT(*) FROM step WHERE state = 'leased' GROUP BY state
         UNION ALL
         SELECT state, COUNT(*) FROM step WHERE state = 'reported' GROUP BY state"
    )
}

/// Whether a step could be leased by somebody.
pub(in crate::step) async fn any_ready(conn: &mut Conn, now: At) -> Result<bool, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT id FROM step WHERE state = 'ready' AND not_before_at <= $1 LIMIT 1",
        now.0
    )?;
    Ok(row.is_some())
}

/// The step that is next: of the project with the fewest steps under lease, the one that has been
/// ready for longest. On PostgreSQL rows that another claim is taking are passed over; there is one
/// writer on SQLite, which has no such words.
pub(in crate::step) async fn next_ready(conn: &mut Conn, now: At) -> Result<Option<StepId>, Error> {
    const SQLITE: &str = "WITH busy AS (
             SELECT project_id, COUNT(*) AS leased FROM step WHERE state = 'leased' GROUP BY project_id)
         SELECT s.id FROM step s JOIN run r ON r.id = s.run_id
         LEFT JOIN busy b ON b.project_id = s.project_id
         WHERE s.state = 'ready' AND s.not_before_at <= $1 AND r.cancel_at IS NULL
           AND COALESCE(b.leased, 0) < s.parallel_max
         ORDER BY COALESCE(b.leased, 0), s.ready_at, s.run_id, s.ordinal LIMIT 1";
    const POSTGRES: &str = "WITH busy AS (
             SELECT project_id, COUNT(*) AS leased FROM step WHERE state = 'leased' GROUP BY project_id)
         SELECT s.id FROM step s JOIN run r ON r.id = s.run_id
         LEFT JOIN busy b ON b.project_id = s.project_id
         WHERE s.state = 'ready' AND s.not_before_at <= $1 AND r.cancel_at IS NULL
           AND COALESCE(b.leased, 0) < s.parallel_max
         ORDER BY COALESCE(b.leased, 0), s.ready_at, s.run_id, s.ordinal LIMIT 1
         FOR UPDATE OF s SKIP LOCKED";
    let sql = if conn.is_postgres() { POSTGRES } else { SQLITE };
    let row = crate::fetch_optional!(conn, (String,), sql, now.0)?;
    row.map(|(id,)| {
        StepId::parse(&id).map_err(|_| Error::Inconsistent {
            table: "step",
            column: "id",
            id,
        })
    })
    .transpose()
}

/// Whether the project may have one more step under lease. On PostgreSQL its row is locked first, so
/// that two claims do not both see the last free place.
pub(in crate::step) async fn has_place(conn: &mut Conn, step: &Step) -> Result<bool, Error> {
    if conn.is_postgres() {
        let _locked = crate::fetch_optional!(
            conn,
            (String,),
            "SELECT id FROM project WHERE id = $1 FOR UPDATE",
            &step.project_id
        )?;
    }
    let (free,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT parallel_max - (SELECT COUNT(*) FROM step o
                                WHERE o.project_id = step.project_id AND o.state = 'leased')
         FROM step WHERE id = $1",
        step.id.as_str()
    )?;
    Ok(free > 0)
}

/// Leases a ready step; the new fence, or nothing when it was no longer ready.
pub(in crate::step) async fn lease(
    conn: &mut Conn,
    step: &StepId,
    worker: &WorkerId,
    ends_at: At,
    deadline_at: At,
    now: At,
) -> Result<Option<i64>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "UPDATE step SET state = 'leased', fence = fence + 1, attempts = attempts + 1, worker_id = $1,
                lease_ends_at = $2, deadline_at = $3, leased_at = $4, phase = NULL, started_at = NULL,
                first_output_at = NULL, reported_at = NULL
         WHERE id = $5 AND state = 'ready' AND not_before_at <= $4 RETURNING fence",
        worker.as_str(),
        ends_at.0,
        deadline_at.0,
        now.0,
        step.as_str()
    )?;
    let Some((fence,)) = row else { return Ok(None) };
    crate::execute!(
        conn,
        "INSERT INTO lease (step_id, fence, worker_id, leased_at) VALUES ($1, $2, $3, $4)",
        step.as_str(),
        fence,
        worker.as_str(),
        now.0
    )?;
    Ok(Some(fence))
}
