//! All SQL of `run`.

use super::gather::commit_id;
use super::state::{Cause, Run, RunId, RunState, Trust};
use crate::clock::At;
use crate::db::{self, Conn};
use crate::identity::{Actor, PersonId};
use crate::source::CommitInfo;
use contract::digest::{CommitId, Digest};
use contract::name::Name;

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
    let row = crate::fetch_optional!(
        conn,
        RunRow,
        "SELECT r.id, r.project_id, p.name AS project, r.number, r.trigger_id, r.attempt, r.ref_name,
                r.commit_id, r.commit_time, r.trust, r.source_digest, r.source_bytes, r.state, r.cause,
                r.cause_detail, r.cancel_at, r.cancel_by, r.created_at, r.started_at, r.finished_at
         FROM run r JOIN project p ON p.id = r.project_id WHERE r.id = $1",
        id.as_str()
    )?;
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
        "SELECT r.id, r.project_id, p.name AS project, r.number, r.trigger_id, r.attempt, r.ref_name,
                r.commit_id, r.commit_time, r.trust, r.source_digest, r.source_bytes, r.state, r.cause,
                r.cause_detail, r.cancel_at, r.cancel_by, r.created_at, r.started_at, r.finished_at
         FROM run r JOIN project p ON p.id = r.project_id WHERE p.name = $1 AND r.number = $2",
        project.as_str(),
        number
    )?;
    row.map(Run::try_from).transpose()
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

// Making ----------------------------------------------------------------------------------------

/// What a run starts from: a trigger that says so.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) trigger_id: String,
    pub(super) project_id: String,
    pub(super) ref_name: String,
    pub(super) commit: CommitId,
    pub(super) trust: String,
    /// The person that the hook is bound to.
    pub(super) pusher_id: Option<String>,
}

/// A person's wish to run a run again.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) id: String,
    /// The run.
    pub(super) of: RunId,
    /// Whose it is, as stored.
    pub(super) by: String,
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) start: Start,
    /// Attempts at making it that failed.
    pub(super) tries: i64,
    /// The wish that it comes of; none for a trigger's first run.
    pub(super) wish: Option<Wish>,
}

type StartRow = (String, String, String, String, String, Option<String>);

fn start(row: StartRow) -> Result<Start, db::Error> {
    let (trigger_id, project_id, ref_name, commit, trust, pusher_id) = row;
    let commit = commit_id(&commit).ok_or_else(|| db::Error::Inconsistent {
        table: "trigger",
        column: "commit_id",
        id: trigger_id.clone(),
    })?;
    Ok(Start {
        trigger_id,
        project_id,
        ref_name,
        commit,
        trust,
        pusher_id,
    })
}

/// Triggers that say start, have no run yet and whose time has come: the oldest of each project; each
/// project's first one before any other's second.
pub(super) async fn waiting_triggers(
    conn: &mut Conn,
    now: At,
    of_one_project: i64,
    limit: i64,
) -> Result<Vec<Due>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, String, String, String, String, Option<String>, i64),
        "SELECT id, project_id, ref_name, commit_id, trust, pusher_id, tries
         FROM (SELECT t.id, t.project_id, t.ref_name, t.commit_id, t.trust, h.pusher_id, t.decided_at,
                      COALESCE(r.tries, 0) AS tries,
                      ROW_NUMBER() OVER (PARTITION BY t.project_id ORDER BY t.decided_at, t.id) AS place
               FROM trigger t JOIN delivery d ON d.id = t.delivery_id JOIN hook h ON h.id = d.hook_id
                    LEFT JOIN run_retry r ON r.trigger_id = t.id
               WHERE t.decision = 'start' AND t.consumed_at IS NULL
                     AND (r.next_at IS NULL OR r.next_at <= $1)) AS due
         WHERE place <= $2 ORDER BY place, decided_at, id LIMIT $3",
        now.0,
        of_one_project,
        limit
    )?;
    let read = |(trigger, project, name, commit, trust, pusher, tries)| {
        // A trigger that cannot be read stays; it must not hold up the others.
        let start = start((trigger, project, name, commit, trust, pusher)).ok()?;
        Some(Due {
            start,
            tries,
            wish: None,
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Notes that an attempt to make a run failed, and when the next one comes.
pub(super) async fn put_off(
    conn: &mut Conn,
    trigger_id: &str,
    tries: i64,
    next: At,
    problem: &str,
) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "INSERT INTO run_retry (trigger_id, tries, next_at, problem) VALUES ($1, $2, $3, $4)
         ON CONFLICT (trigger_id) DO UPDATE
         SET tries = excluded.tries, next_at = excluded.next_at, problem = excluded.problem",
        trigger_id,
        tries,
        next.0,
        problem
    )?;
    Ok(())
}

/// The trigger has its run.
pub(super) async fn forget_retry(conn: &mut Conn, trigger_id: &str) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "DELETE FROM run_retry WHERE trigger_id = $1",
        trigger_id
    )?;
    Ok(())
}

/// Stores a wish to run a run again; false when one waits already.
pub(super) async fn wish(
    conn: &mut Conn,
    id: &str,
    run: &RunId,
    by: &Actor,
    now: At,
) -> Result<bool, db::Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO run_wish (id, run_id, wished_by, wished_by_id, wished_at, tries, next_at)
         VALUES ($1, $2, $3, $4, $5, 0, $5)
         ON CONFLICT (run_id) WHERE consumed_at IS NULL DO NOTHING",
        id,
        run.as_str(),
        by.to_string(),
        by.person().map(PersonId::as_str),
        now.0
    )?;
    Ok(inserted == 1)
}

#[derive(sqlx::FromRow)]
struct WishRow {
    id: String,
    run_id: String,
    wished_by: String,
    tries: i64,
    trigger_id: String,
    project_id: String,
    ref_name: String,
    commit_id: String,
    trust: String,
    pusher_id: Option<String>,
}

/// Wishes that have no run yet and whose time has come, oldest first.
pub(super) async fn waiting_wishes(
    conn: &mut Conn,
    now: At,
    limit: i64,
) -> Result<Vec<Due>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        WishRow,
        "SELECT w.id, w.run_id, w.wished_by, w.tries, t.id AS trigger_id, t.project_id, t.ref_name,
                t.commit_id, t.trust, h.pusher_id
         FROM run_wish w JOIN run r ON r.id = w.run_id JOIN trigger t ON t.id = r.trigger_id
              JOIN delivery d ON d.id = t.delivery_id JOIN hook h ON h.id = d.hook_id
         WHERE w.consumed_at IS NULL AND w.next_at <= $1 ORDER BY w.wished_at, w.id LIMIT $2",
        now.0,
        limit
    )?;
    rows.into_iter().map(Due::try_from).collect()
}

impl TryFrom<WishRow> for Due {
    type Error = db::Error;

    fn try_from(row: WishRow) -> Result<Self, db::Error> {
        let WishRow {
            id,
            run_id,
            wished_by,
            tries,
            trigger_id,
            project_id,
            ref_name,
            commit_id,
            trust,
            pusher_id,
        } = row;
        let of = RunId::parse(&run_id).map_err(|_| db::Error::Inconsistent {
            table: "run_wish",
            column: "run_id",
            id: id.clone(),
        })?;
        Ok(Self {
            start: start((
                trigger_id, project_id, ref_name, commit_id, trust, pusher_id,
            ))?,
            tries,
            wish: Some(Wish {
                id,
                of,
                by: wished_by,
            }),
        })
    }
}

/// Notes that an attempt at a wish failed, and when the next one comes.
pub(super) async fn put_off_wish(
    conn: &mut Conn,
    id: &str,
    tries: i64,
    next: At,
    problem: &str,
) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "UPDATE run_wish SET tries = $2, next_at = $3, problem = $4
         WHERE id = $1 AND consumed_at IS NULL",
        id,
        tries,
        next.0,
        problem
    )?;
    Ok(())
}

/// Marks a wish as consumed; false when another pass was faster.
pub(super) async fn consume_wish(conn: &mut Conn, id: &str, now: At) -> Result<bool, db::Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE run_wish SET consumed_at = $2 WHERE id = $1 AND consumed_at IS NULL",
        id,
        now.0
    )?;
    Ok(rows == 1)
}

/// Marks a trigger as consumed; false when another pass was faster.
pub(super) async fn consume_trigger(
    conn: &mut Conn,
    trigger_id: &str,
    now: At,
) -> Result<bool, db::Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE trigger SET consumed_at = $1
         WHERE id = $2 AND decision = 'start' AND consumed_at IS NULL",
        now.0,
        trigger_id
    )?;
    Ok(rows == 1)
}

pub(super) async fn last_attempt(conn: &mut Conn, trigger_id: &str) -> Result<i64, db::Error> {
    let (attempt,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT COALESCE(MAX(attempt), 0) FROM run WHERE trigger_id = $1",
        trigger_id
    )?;
    Ok(attempt)
}

/// The project's next run number, gap-free: given back when the transaction fails.
pub(super) async fn next_number(conn: &mut Conn, project_id: &str) -> Result<i64, db::Error> {
    let (number,) = crate::fetch_one!(
        conn,
        (i64,),
        "UPDATE project SET run_number = run_number + 1 WHERE id = $1 RETURNING run_number",
        project_id
    )?;
    Ok(number)
}

/// How a new run begins.
pub(super) enum Outcome {
    Waiting {
        plan: String,
        warnings: Option<String>,
    },
    Invalid {
        complaints: String,
    },
    Refused {
        why: String,
    },
}

impl Outcome {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Invalid { .. } => "invalid",
            Self::Refused { .. } => "refused",
        }
    }
}

pub(super) struct NewRun<'a> {
    pub(super) id: &'a RunId,
    pub(super) number: i64,
    pub(super) attempt: i64,
    pub(super) wish: Option<&'a Wish>,
    pub(super) start: &'a Start,
    pub(super) info: &'a CommitInfo,
    pub(super) settings_version: i64,
    pub(super) pipeline_path: &'a str,
    pub(super) pipeline_digest: Option<&'a Digest>,
    pub(super) source: Option<(Digest, u64)>,
    pub(super) outcome: Outcome,
}

pub(super) async fn insert(conn: &mut Conn, new: NewRun<'_>, now: At) -> Result<(), db::Error> {
    let state = new.outcome.word();
    let (plan, warnings, complaints, cause) = match new.outcome {
        Outcome::Waiting { plan, warnings } => (Some(plan), warnings, None, None),
        Outcome::Invalid { complaints } => (None, None, Some(complaints), None),
        Outcome::Refused { why } => (None, None, None, Some(Cause::Refused { why })),
    };
    let finished_at = plan.is_none().then_some(now.0);
    let (digest, bytes) = new.source.unzip();
    crate::execute!(
        conn,
        "INSERT INTO run (id, project_id, number, trigger_id, attempt, again_of_id, ref_name, commit_id,
             commit_title, commit_time, author_name, author_email, committer_email, pusher_id, trust,
             settings_version, pipeline_path, pipeline_digest, plan, complaints, source_digest,
             source_bytes, state, cause, cause_detail, created_at, finished_at, warnings, wish_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)",
        new.id.as_str(),
        &new.start.project_id,
        new.number,
        &new.start.trigger_id,
        new.attempt,
        new.wish.map(|wish| wish.of.as_str()),
        &new.start.ref_name,
        new.start.commit.as_str(),
        &new.info.title,
        new.info.time,
        &new.info.author_name,
        &new.info.author_email,
        &new.info.committer_email,
        &new.start.pusher_id,
        &new.start.trust,
        new.settings_version,
        new.pipeline_path,
        new.pipeline_digest.map(ToString::to_string),
        plan,
        complaints,
        digest.map(|digest| digest.to_string()),
        bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        state,
        cause.as_ref().map(Cause::word),
        cause.as_ref().and_then(Cause::detail),
        now.0,
        finished_at,
        warnings,
        new.wish.map(|wish| wish.id.as_str())
    )?;
    Ok(())
}

/// What is wrong with an invalid run's files, or what somebody should know of a good one's: each complaint with its text for people under
/// `rendered`.
pub async fn complaints(conn: &mut Conn, run: &RunId) -> Result<Vec<serde_json::Value>, db::Error> {
    let row = crate::fetch_optional!(
        conn,
        (Option<String>,),
        "SELECT COALESCE(complaints, warnings) FROM run WHERE id = $1",
        run.as_str()
    )?;
    let text = row
        .and_then(|(text,)| text)
        .unwrap_or_else(|| "[]".to_owned());
    serde_json::from_str(&text).map_err(|_| db::Error::Inconsistent {
        table: "run",
        column: "complaints",
        id: run.to_string(),
    })
}

/// Why and from what a run started, as its page tells it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Origin {
    /// The commit's first line.
    pub title: String,
    /// Who wrote it, as the commit says.
    pub author: String,
    /// The person that the hook's pusher is.
    pub pusher_id: Option<String>,
    /// Who sent it, as the sender claims.
    pub sender: Option<String>,
    /// The delivery.
    pub delivery_id: String,
    /// Its event.
    pub event: String,
    /// `github` or `git`.
    pub provider: String,
    /// Why its trigger started a run, in words.
    pub detail: String,
    /// The settings that it was planned by.
    pub settings_version: i64,
    /// The pipeline file.
    pub pipeline_path: String,
    /// The number of the run that this one repeats.
    pub again_of: Option<i64>,
}

/// Why and from what a run started.
pub async fn origin(conn: &mut Conn, run: &RunId) -> Result<Option<Origin>, db::Error> {
    crate::fetch_optional!(
        conn,
        Origin,
        "SELECT r.commit_title AS title, r.author_name AS author, r.pusher_id, d.sender,
                t.delivery_id, d.event, d.provider, t.detail, r.settings_version, r.pipeline_path,
                o.number AS again_of
         FROM run r JOIN trigger t ON t.id = r.trigger_id JOIN delivery d ON d.id = t.delivery_id
             LEFT JOIN run o ON o.id = r.again_of_id
         WHERE r.id = $1",
        run.as_str()
    )
}

/// A run in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its number in the project.
    pub number: i64,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit: String,
    /// The commit's first line.
    pub title: String,
    /// Who wrote it, as the commit says.
    pub author: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was made.
    pub created_at: At,
}

/// Which runs a list shows; an empty text is any.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A branch or tag, with or without `refs/heads/` or `refs/tags/`.
    pub ref_name: String,
    /// `waiting`, `running`, `passed`, `failed`, `cancelled`, `invalid`, `refused`.
    pub state: String,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: String,
    number: i64,
    ref_name: String,
    commit_id: String,
    commit_title: String,
    author_name: String,
    state: String,
    cause: Option<String>,
    cause_detail: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<ListedRow> for Listed {
    type Error = db::Error;
    fn try_from(row: ListedRow) -> Result<Self, db::Error> {
        let ListedRow {
            id,
            number,
            ref_name,
            commit_id,
            commit_title,
            author_name,
            state,
            cause,
            cause_detail,
            created_at,
            started_at,
            finished_at,
        } = row;
        let state = state_of(&state, (cause, cause_detail), started_at, finished_at);
        Ok(Self {
            number,
            ref_name,
            commit: commit_id,
            title: commit_title,
            author: author_name,
            state: state.ok_or(db::Error::Inconsistent {
                table: "run",
                column: "state",
                id,
            })?,
            created_at: At(created_at),
        })
    }
}

/// The runs of a project that a filter lets through, newest first, from before this number.
pub async fn filtered(
    conn: &mut Conn,
    project_id: &str,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<Listed>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        ListedRow,
        "SELECT id, number, ref_name, commit_id, commit_title, author_name, state, cause, cause_detail,
                created_at, started_at, finished_at
         FROM run
         WHERE project_id = $1 AND number < $2
           AND ($3 = '' OR ref_name IN ($3, 'refs/heads/' || $3, 'refs/tags/' || $3))
           AND ($4 = '' OR $4 = CASE WHEN state <> 'finished' THEN state
                                     WHEN cause IN ('passed', 'cancelled') THEN cause
                                     ELSE 'failed' END)
         ORDER BY number DESC LIMIT $5",
        project_id,
        before,
        &filter.ref_name,
        &filter.state,
        limit
    )?;
    rows.into_iter().map(Listed::try_from).collect()
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
        "SELECT r.id, r.project_id, p.name AS project, r.number, r.trigger_id, r.attempt, r.ref_name,
                r.commit_id, r.commit_time, r.trust, r.source_digest, r.source_bytes, r.state, r.cause,
                r.cause_detail, r.cancel_at, r.cancel_by, r.created_at, r.started_at, r.finished_at
         FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.project_id = $1 AND r.number < $2 ORDER BY r.number DESC LIMIT $3",
        project_id,
        before,
        limit
    )?;
    rows.into_iter().map(Run::try_from).collect()
}
