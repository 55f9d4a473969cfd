//! All SQL of what a run is due for: triggers that say start, and wishes to run one again.

use super::super::gather::commit_id;
use super::super::state::RunId;
use crate::clock::At;
use crate::db::{self, Conn};
use crate::identity::{Actor, PersonId};
use contract::digest::CommitId;

/// What a run starts from: a trigger that says so.
#[derive(Debug, Clone)]
pub(in crate::run) struct Start {
    pub(in crate::run) trigger_id: String,
    pub(in crate::run) project_id: String,
    pub(in crate::run) ref_name: String,
    pub(in crate::run) commit: CommitId,
    pub(in crate::run) trust: String,
    /// The person that the hook is bound to.
    pub(in crate::run) pusher_id: Option<String>,
}

/// A person's wish to run a run again.
#[derive(Debug, Clone)]
pub(in crate::run) struct Wish {
    pub(in crate::run) id: String,
    /// The run.
    pub(in crate::run) of: RunId,
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub(in crate::run) struct Due {
    pub(in crate::run) start: Start,
    /// Attempts at making it that failed.
    pub(in crate::run) tries: i64,
    /// The wish that it comes of; none for a trigger's first run.
    pub(in crate::run) wish: Option<Wish>,
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
pub(in crate::run) async fn waiting_triggers(
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
pub(in crate::run) async fn put_off(
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
pub(in crate::run) async fn forget_retry(
    conn: &mut Conn,
    trigger_id: &str,
) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "DELETE FROM run_retry WHERE trigger_id = $1",
        trigger_id
    )?;
    Ok(())
}

/// Stores a wish to run a run again; false when one waits already.
pub(in crate::run) async fn wish(
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
    tries: i64,
    trigger_id: String,
    project_id: String,
    ref_name: String,
    commit_id: String,
    trust: String,
    pusher_id: Option<String>,
}

/// Wishes that have no run yet and whose time has come: the oldest of each project; each project's first
/// one before any other's second.
pub(in crate::run) async fn waiting_wishes(
    conn: &mut Conn,
    now: At,
    of_one_project: i64,
    limit: i64,
) -> Result<Vec<Due>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        WishRow,
        "SELECT id, run_id, tries, trigger_id, project_id, ref_name, commit_id, trust, pusher_id
         FROM (SELECT w.id, w.run_id, w.tries, t.id AS trigger_id, t.project_id, t.ref_name,
                      t.commit_id, t.trust, h.pusher_id, w.wished_at,
                      ROW_NUMBER() OVER (PARTITION BY t.project_id ORDER BY w.wished_at, w.id) AS place
               FROM run_wish w JOIN run r ON r.id = w.run_id JOIN trigger t ON t.id = r.trigger_id
                    JOIN delivery d ON d.id = t.delivery_id JOIN hook h ON h.id = d.hook_id
               WHERE w.consumed_at IS NULL AND w.next_at <= $1) AS due
         WHERE place <= $2 ORDER BY place, wished_at, id LIMIT $3",
        now.0,
        of_one_project,
        limit
    )?;
    // A wish that cannot be read stays; it must not hold up the others.
    let read = rows.into_iter().filter_map(|row| Due::try_from(row).ok());
    Ok(read.collect())
}

impl TryFrom<WishRow> for Due {
    type Error = db::Error;

    fn try_from(row: WishRow) -> Result<Self, db::Error> {
        let WishRow {
            id,
            run_id,
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
            wish: Some(Wish { id, of }),
        })
    }
}

/// Notes that an attempt at a wish failed, and when the next one comes.
pub(in crate::run) async fn put_off_wish(
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
pub(in crate::run) async fn consume_wish(
    conn: &mut Conn,
    id: &str,
    now: At,
) -> Result<bool, db::Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE run_wish SET consumed_at = $2 WHERE id = $1 AND consumed_at IS NULL",
        id,
        now.0
    )?;
    Ok(rows == 1)
}

/// Marks a trigger as consumed; false when another pass was faster.
pub(in crate::run) async fn consume_trigger(
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
