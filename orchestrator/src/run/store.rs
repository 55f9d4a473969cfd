//! All SQL of `run`.

mod due;
mod make;
mod tell;

pub(super) use due::{
    Due, Start, consume_trigger, consume_wish, forget_retry, put_off, put_off_wish,
    waiting_triggers, waiting_wishes, wish,
};
pub(super) use make::{NewRun, Outcome, insert, last_attempt, next_number};
pub use tell::{Filter, Listed, Origin, complaints, filtered, origin};

use super::state::{Cause, Run, RunId, RunState, Trust};
use crate::clock::At;
use crate::db::{self, Conn};
use contract::digest::{CommitId, Digest};
use contract::name::Name;

/// Reads whole runs: the one list of what a [`RunRow`] is made of.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.project_id, p.name AS project, r.number, r.trigger_id, r.attempt,
                    r.ref_name, r.commit_id, r.commit_time, r.trust, r.source_digest,
                    r.source_bytes, r.state, r.cause, r.cause_detail, r.cancel_at, r.cancel_by,
                    r.created_at, r.started_at, r.finished_at
             FROM run r JOIN project p ON p.id = r.project_id ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: String,
    project_id: String,
    project: String,
    number: i64,
    trigger_id: String,
    attempt: i64,
    ref_name: String,
    commit_id: String,
    commit_time: i64,
    trust: String,
    source_digest: Option<String>,
    source_bytes: Option<i64>,
    state: String,
    cause: Option<String>,
    cause_detail: Option<String>,
    cancel_at: Option<i64>,
    cancel_by: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<RunRow> for Run {
    type Error = db::Error;
    fn try_from(row: RunRow) -> Result<Self, db::Error> {
        let RunRow {
            id,
            project_id,
            project,
            number,
            trigger_id,
            attempt,
            ref_name,
            commit_id,
            commit_time,
            trust,
            source_digest,
            source_bytes,
            state,
            cause,
            cause_detail,
            cancel_at,
            cancel_by,
            created_at,
            started_at,
            finished_at,
        } = row;
        let bad = |column| db::Error::Inconsistent {
            table: "run",
            column,
            id: id.clone(),
        };
        let state = state_of(&state, (cause, cause_detail), started_at, finished_at)
            .ok_or_else(|| bad("state"))?;
        let source = match (source_digest, source_bytes) {
            (Some(digest), Some(bytes)) => Some((
                Digest::parse(&digest).map_err(|_| bad("source_digest"))?,
                u64::try_from(bytes).map_err(|_| bad("source_bytes"))?,
            )),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(bad("source_digest, source_bytes")),
        };
        let cancel = match (cancel_at, cancel_by) {
            (Some(at), Some(by)) => Some((by, At(at))),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(bad("cancel_at, cancel_by")),
        };
        Ok(Self {
            project: Name::parse(&project).map_err(|_| bad("project"))?,
            commit: CommitId::parse(&commit_id).map_err(|_| bad("commit_id"))?,
            trust: if trust == "trusted" {
                Trust::Trusted
            } else {
                Trust::Untrusted
            },
            id: RunId::parse(&id).map_err(|_| bad("id"))?,
            project_id,
            number,
            trigger_id,
            attempt,
            ref_name,
            commit_time,
            source,
            state,
            cancel,
            created_at: At(created_at),
        })
    }
}

/// The state that these columns say together; none when no code of ours could have written them.
fn state_of(
    state: &str,
    (cause, detail): (Option<String>, Option<String>),
    started_at: Option<i64>,
    finished_at: Option<i64>,
) -> Option<RunState> {
    let cause = match cause {
        Some(word) => Some(Cause::stored(&word, detail)?),
        None => None,
    };
    Some(match (state, cause, started_at, finished_at) {
        ("waiting", None, None, None) => RunState::Waiting,
        ("running", None, Some(at), None) => RunState::Running { started_at: At(at) },
        ("finished", Some(cause), _, Some(at)) => RunState::Finished { cause, at: At(at) },
        ("invalid", None, None, Some(at)) => RunState::Invalid { at: At(at) },
        ("refused", Some(cause), None, Some(at)) => RunState::Refused { cause, at: At(at) },
        (_, _, _, _) => return None,
    })
}

/// A run by its id.
pub async fn by_id(conn: &mut Conn, id: &RunId) -> Result<Option<Run>, db::Error> {
    let row = crate::fetch_optional!(conn, RunRow, select!("WHERE r.id = $1"), id.as_str())?;
    row.map(Run::try_from).transpose()
}

/// A run by its number in its project.
pub async fn by_number(
    conn: &mut Conn,
    project: &Name,
    number: i64,
) -> Result<Option<Run>, db::Error> {
    let row = crate::fetch_optional!(
        conn,
        RunRow,
        select!("WHERE p.name = $1 AND r.number = $2"),
        project.as_str(),
        number
    )?;
    row.map(Run::try_from).transpose()
}

/// The runs of a project, newest first, from before this number.
pub async fn recent(
    conn: &mut Conn,
    project_id: &str,
    before: i64,
    limit: i64,
) -> Result<Vec<Run>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        RunRow,
        select!("WHERE r.project_id = $1 AND r.number < $2 ORDER BY r.number DESC LIMIT $3"),
        project_id,
        before,
        limit
    )?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Runs that wait and have no steps yet, with their plans: what `step` finds.
pub async fn without_steps(
    conn: &mut Conn,
    limit: i64,
) -> Result<Vec<(RunId, String, String)>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, String, String),
        "SELECT r.id, r.project_id, r.plan FROM run r
         WHERE r.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM step s WHERE s.run_id = r.id)
         ORDER BY r.created_at, r.id LIMIT $1",
        limit
    )?;
    rows.into_iter()
        .map(|(id, project, plan)| {
            let run = RunId::parse(&id).map_err(|_| db::Error::Inconsistent {
                table: "run",
                column: "id",
                id: id.clone(),
            })?;
            Ok((run, project, plan))
        })
        .collect()
}

/// Who asked for the run's end, if anybody did.
pub async fn cancel_asked(conn: &mut Conn, run: &RunId) -> Result<Option<String>, db::Error> {
    let row = crate::fetch_optional!(
        conn,
        (Option<String>,),
        "SELECT cancel_by FROM run WHERE id = $1",
        run.as_str()
    )?;
    Ok(row.and_then(|(by,)| by))
}

/// A step of this run was leased: it runs. Called by `step` in the transaction of the claim.
pub async fn started(conn: &mut Conn, run: &RunId, now: At) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "UPDATE run SET state = 'running', started_at = $1 WHERE id = $2 AND state = 'waiting'",
        now.0,
        run.as_str()
    )?;
    Ok(())
}

pub(super) async fn finished(
    conn: &mut Conn,
    run: &RunId,
    cause: &Cause,
    now: At,
) -> Result<bool, db::Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE run SET state = 'finished', cause = $1, cause_detail = $2, finished_at = $3
         WHERE id = $4 AND state IN ('waiting', 'running')",
        cause.word(),
        cause.detail(),
        now.0,
        run.as_str()
    )?;
    Ok(rows == 1)
}

/// Runs that have not ended, by state.
pub async fn open_by_state(conn: &mut Conn) -> Result<Vec<(String, i64)>, db::Error> {
    crate::fetch_all!(
        conn,
        (String, i64),
        "SELECT state, COUNT(*) FROM run WHERE state IN ('waiting', 'running') GROUP BY state"
    )
}

pub(super) async fn project_of(conn: &mut Conn, run: &RunId) -> Result<Option<String>, db::Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT project_id FROM run WHERE id = $1",
        run.as_str()
    )?;
    Ok(row.map(|(id,)| id))
}

pub(super) async fn ask_cancel(
    conn: &mut Conn,
    run: &RunId,
    by: &str,
    now: At,
) -> Result<bool, db::Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE run SET cancel_at = $1, cancel_by = $2
         WHERE id = $3 AND cancel_at IS NULL AND state IN ('waiting', 'running')",
        now.0,
        by,
        run.as_str()
    )?;
    Ok(rows == 1)
}
