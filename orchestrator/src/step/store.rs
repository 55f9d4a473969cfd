//! All SQL of the steps' tables.

use super::state::{Lease, LeaseKey, Step, StepId, StepState};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::fleet::WorkerId;
use crate::run::{Cause, RunId};
use contract::digest::Digest;
use contract::name::Name;
use contract::protocol::Report;

// Steps ---------------------------------------------------------------------------------------

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

// Claims ----------------------------------------------------------------------------------------

/// How many steps a worker has under lease. On PostgreSQL its row is locked first, so that two
/// claims of one worker do not both see the last free slot.
pub(super) async fn leased_by(conn: &mut Conn, worker: &WorkerId) -> Result<i64, Error> {
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
pub(super) async fn any_ready(conn: &mut Conn, now: At) -> Result<bool, Error> {
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
pub(super) async fn next_ready(conn: &mut Conn, now: At) -> Result<Option<StepId>, Error> {
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
pub(super) async fn has_place(conn: &mut Conn, step: &Step) -> Result<bool, Error> {
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
pub(super) async fn lease(
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

// Leases ----------------------------------------------------------------------------------------

/// Extends a lease that is still held; whether the run is to be ended, or nothing when it is lost.
pub(super) async fn extend(
    conn: &mut Conn,
    key: &LeaseKey,
    ends_at: At,
    phase: &str,
) -> Result<Option<bool>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "UPDATE step SET lease_ends_at = $1, phase = $2
         WHERE id = $3 AND fence = $4 AND worker_id = $5 AND state = 'leased'
         RETURNING (SELECT CASE WHEN r.cancel_at IS NULL THEN 0 ELSE 1 END
                    FROM run r WHERE r.id = step.run_id) + CAST(0 AS BIGINT)",
        ends_at.0,
        phase,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(row.map(|(cancel,)| cancel != 0))
}

/// The step, when this lease on it is still held.
pub(super) async fn held(conn: &mut Conn, key: &LeaseKey) -> Result<Option<Step>, Error> {
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

pub(super) async fn held_by(conn: &mut Conn, worker: &WorkerId) -> Result<Vec<Step>, Error> {
    let rows = crate::fetch_all!(
        conn,
        StepRow,
        "SELECT * FROM step WHERE worker_id = $1 AND state = 'leased' ORDER BY id",
        worker.as_str()
    )?;
    rows.into_iter().map(Step::try_from).collect()
}

/// Leases that ran out, or whose deadline passed, before this moment.
pub(super) async fn overdue(conn: &mut Conn, before: At, limit: i64) -> Result<Vec<Step>, Error> {
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
pub(super) async fn cancelled(
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
pub(super) async fn finish(
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
pub(super) async fn retry(
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

// Logs ------------------------------------------------------------------------------------------

/// One stored chunk.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ChunkRow {
    pub(super) sequence: i64,
    pub(super) at_offset: i64,
    pub(super) bytes: i64,
    pub(super) sha256: String,
}

pub(super) async fn last_chunk(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<ChunkRow>, Error> {
    crate::fetch_optional!(
        conn,
        ChunkRow,
        "SELECT sequence, at_offset, bytes, sha256 FROM log_chunk
         WHERE step_id = $1 AND fence = $2 ORDER BY sequence DESC LIMIT 1",
        step.as_str(),
        fence
    )
}

pub(super) async fn chunk(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
    sequence: i64,
) -> Result<Option<ChunkRow>, Error> {
    crate::fetch_optional!(
        conn,
        ChunkRow,
        "SELECT sequence, at_offset, bytes, sha256 FROM log_chunk
         WHERE step_id = $1 AND fence = $2 AND sequence = $3",
        step.as_str(),
        fence,
        sequence
    )
}

/// Stores a chunk's row while the lease is held; false when it is not.
pub(super) async fn insert_chunk(
    conn: &mut Conn,
    key: &LeaseKey,
    row: &ChunkRow,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "INSERT INTO log_chunk (step_id, fence, sequence, at_offset, bytes, sha256, received_at)
         SELECT s.id, s.fence, $1, $2, $3, $4, $5 FROM step s
         WHERE s.id = $6 AND s.fence = $7 AND s.worker_id = $8 AND s.state = 'leased'",
        row.sequence,
        row.at_offset,
        row.bytes,
        &row.sha256,
        now.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(rows == 1)
}

/// How many bytes the step printed beyond what is kept of its log; none before its report.
pub(super) async fn log_dropped(conn: &mut Conn, step: &StepId, fence: i64) -> Result<i64, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "SELECT log_dropped_bytes FROM report WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )?;
    Ok(row.map_or(0, |(bytes,)| bytes))
}

/// Count and bytes of the stored chunks of one lease.
pub(super) async fn log_sum(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<(i64, i64), Error> {
    crate::fetch_one!(
        conn,
        (i64, i64),
        "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM log_chunk
         WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )
}

// Artifacts -------------------------------------------------------------------------------------

/// One stored artifact.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ArtifactRow {
    /// Its id.
    pub id: String,
    /// Its place in the order of uploads.
    pub sequence: i64,
    /// Its name, a relative path.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Its length.
    pub bytes: i64,
}

/// The artifacts of one lease, by name.
pub async fn artifacts(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Vec<ArtifactRow>, Error> {
    crate::fetch_all!(
        conn,
        ArtifactRow,
        "SELECT id, sequence, name, digest, bytes FROM artifact WHERE step_id = $1 AND fence = $2
         ORDER BY name",
        step.as_str(),
        fence
    )
}

/// One artifact, when it is of a last lease of a step of this run.
pub async fn artifact(
    conn: &mut Conn,
    run: &RunId,
    id: &str,
) -> Result<Option<ArtifactRow>, Error> {
    crate::fetch_optional!(
        conn,
        ArtifactRow,
        "SELECT a.id, a.sequence, a.name, a.digest, a.bytes FROM artifact a
         JOIN step s ON s.id = a.step_id AND s.fence = a.fence
         WHERE a.id = $1 AND s.run_id = $2",
        id,
        run.as_str()
    )
}

pub(super) struct NewArtifact<'a> {
    pub(super) id: &'a str,
    pub(super) sequence: i64,
    pub(super) name: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) bytes: i64,
}

/// Stores an artifact's row while the lease is held; false when it is not.
pub(super) async fn insert_artifact(
    conn: &mut Conn,
    key: &LeaseKey,
    new: NewArtifact<'_>,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "INSERT INTO artifact (id, step_id, fence, sequence, name, digest, bytes, stored_at)
         SELECT $1, s.id, s.fence, $2, $3, $4, $5, $6 FROM step s
         WHERE s.id = $7 AND s.fence = $8 AND s.worker_id = $9 AND s.state = 'leased'",
        new.id,
        new.sequence,
        new.name,
        new.digest.to_string(),
        new.bytes,
        now.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(rows == 1)
}

// Reports ---------------------------------------------------------------------------------------

/// The stored report of one lease: envelope and payload.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ReportRow {
    pub(super) envelope: Vec<u8>,
    pub(super) payload: String,
}

pub(super) async fn report(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<ReportRow>, Error> {
    crate::fetch_optional!(
        conn,
        ReportRow,
        "SELECT envelope, payload FROM report WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )
}

/// The report of one lease as it was stored; the worker's claims, verified to be its own.
pub async fn claimed(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<contract::protocol::Report>, Error> {
    let row = report(conn, step, fence).await?;
    let read = |row: ReportRow| {
        serde_json::from_str(&row.payload).map_err(|_| Error::Inconsistent {
            table: "report",
            column: "payload",
            id: format!("{step} {fence}"),
        })
    };
    row.map(read).transpose()
}

/// Stores the report and takes the step out of the worker's hands; false when the lease is lost.
pub(super) async fn insert_report(
    conn: &mut Conn,
    key: &LeaseKey,
    row: &ReportRow,
    report: &Report,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE step SET state = 'reported', lease_ends_at = NULL, reported_at = $1, phase = NULL,
                started_at = $2, first_output_at = $3
         WHERE id = $4 AND fence = $5 AND worker_id = $6 AND state = 'leased'",
        now.0,
        report.times.started_at,
        report.times.first_output_at,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    if rows == 0 {
        return Ok(false);
    }
    crate::execute!(
        conn,
        "INSERT INTO report (step_id, fence, envelope, payload, received_at, log_dropped_bytes)
         VALUES ($1, $2, $3, $4, $5, $6)",
        key.step.as_str(),
        key.fence,
        &row.envelope,
        &row.payload,
        now.0,
        // A claim: what nobody has cannot be checked, and less than nothing was not printed.
        report.log.dropped_bytes.max(0)
    )?;
    Ok(true)
}
