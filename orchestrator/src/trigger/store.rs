//! All SQL of triggers.

use super::state::{Decision, TriggerId};
use crate::clock::At;
use crate::db::{Conn, Error};

/// A delivery that nobody has decided about.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) provider: String,
    pub(super) event: String,
    pub(super) replays_id: Option<String>,
    pub(super) received_at: i64,
    /// Attempts that failed.
    pub(super) tries: i64,
}

/// The oldest deliveries of each project whose time has come; each project's first one before any
/// other's second.
pub(super) async fn waiting(
    conn: &mut Conn,
    now: At,
    of_one_project: i64,
    limit: i64,
) -> Result<Vec<Waiting>, Error> {
    crate::fetch_all!(
        conn,
        Waiting,
        "SELECT id, project_id, provider, event, replays_id, received_at, tries
         FROM (SELECT d.id, d.project_id, d.provider, d.event, d.replays_id, d.received_at,
                      COALESCE(r.tries, 0) AS tries,
                      ROW_NUMBER() OVER (PARTITION BY d.project_id ORDER BY d.received_at, d.id) AS place
               FROM delivery d LEFT JOIN trigger_retry r ON r.delivery_id = d.id
               WHERE d.consumed_at IS NULL AND (r.next_at IS NULL OR r.next_at <= $1)) AS due
         WHERE place <= $2 ORDER BY place, received_at, id LIMIT $3",
        now.0,
        of_one_project,
        limit
    )
}

/// Notes that an attempt failed, and when the next one comes.
pub(super) async fn put_off(
    conn: &mut Conn,
    delivery_id: &str,
    tries: i64,
    next: At,
    problem: &str,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO trigger_retry (delivery_id, tries, next_at, problem) VALUES ($1, $2, $3, $4)
         ON CONFLICT (delivery_id) DO UPDATE
         SET tries = excluded.tries, next_at = excluded.next_at, problem = excluded.problem",
        delivery_id,
        tries,
        next.0,
        problem
    )?;
    Ok(())
}

/// It is decided.
pub(super) async fn forget_retry(conn: &mut Conn, delivery_id: &str) -> Result<(), Error> {
    crate::execute!(
        conn,
        "DELETE FROM trigger_retry WHERE delivery_id = $1",
        delivery_id
    )?;
    Ok(())
}

/// Why a delivery waits: what hindered the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RetryRow {
    /// Attempts that failed.
    pub tries: i64,
    /// When the next one comes (µs since 1970 UTC).
    pub next_at: i64,
    /// What hindered the last one.
    pub problem: String,
}

/// Why this delivery waits; none: it was not tried yet, or it is decided.
pub async fn retry_of(conn: &mut Conn, delivery_id: &str) -> Result<Option<RetryRow>, Error> {
    crate::fetch_optional!(
        conn,
        RetryRow,
        "SELECT tries, next_at, problem FROM trigger_retry WHERE delivery_id = $1",
        delivery_id
    )
}

/// The commits that were started last for a ref, newest first.
pub(super) async fn started(
    conn: &mut Conn,
    project: &str,
    ref_name: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String,),
        "SELECT commit_id FROM trigger
         WHERE project_id = $1 AND ref_name = $2 AND decision = 'start' AND commit_id IS NOT NULL
         ORDER BY decided_at DESC LIMIT $3",
        project,
        ref_name,
        limit
    )?;
    Ok(rows.into_iter().map(|(commit,)| commit).collect())
}

/// Whether this very commit was ever started for a ref.
pub(super) async fn was_started(
    conn: &mut Conn,
    project: &str,
    ref_name: &str,
    commit: &str,
) -> Result<bool, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "SELECT CAST(1 AS BIGINT) FROM trigger
         WHERE project_id = $1 AND ref_name = $2 AND decision = 'start' AND commit_id = $3 LIMIT 1",
        project,
        ref_name,
        commit
    )?;
    Ok(row.is_some())
}

pub(super) struct NewTrigger<'a> {
    pub(super) id: &'a TriggerId,
    pub(super) delivery_id: &'a str,
    pub(super) project_id: &'a str,
    pub(super) ref_name: &'a str,
    pub(super) commit: Option<&'a str>,
    pub(super) before: Option<&'a str>,
    pub(super) decision: &'a Decision,
    pub(super) settings_version: i64,
    pub(super) at: At,
}

/// One decision a (delivery, ref): false when there is one.
pub(super) async fn insert(conn: &mut Conn, new: NewTrigger<'_>) -> Result<bool, Error> {
    let (decision, reason, detail) = match new.decision {
        Decision::Start { detail } => ("start", "push", detail),
        Decision::Skip { reason, detail } => ("skip", reason.as_str(), detail),
    };
    let inserted = crate::execute!(
        conn,
        "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, before_id, decision,
                              reason, detail, trust, settings_version, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'trusted', $10, $11)
         ON CONFLICT (delivery_id, ref_name) DO NOTHING",
        new.id.as_str(),
        new.delivery_id,
        new.project_id,
        new.ref_name,
        new.commit,
        new.before,
        decision,
        reason,
        detail,
        new.settings_version,
        new.at.0
    )?;
    Ok(inserted == 1)
}

/// A trigger as pages show it, with the number of the run that it started last.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TriggerRow {
    /// Its id.
    pub id: String,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit_id: Option<String>,
    /// `start`, `skip`, `hold`.
    pub decision: String,
    /// The stable reason.
    pub reason: String,
    /// In words.
    pub detail: String,
    /// When (µs since 1970 UTC).
    pub decided_at: i64,
    /// The run.
    pub run_number: Option<i64>,
}

/// The decisions about a delivery.
pub async fn of_delivery(conn: &mut Conn, delivery_id: &str) -> Result<Vec<TriggerRow>, Error> {
    crate::fetch_all!(
        conn,
        TriggerRow,
        "SELECT t.id, t.ref_name, t.commit_id, t.decision, t.reason, t.detail, t.decided_at,
                (SELECT MAX(r.number) FROM run r WHERE r.trigger_id = t.id) AS run_number
         FROM trigger t WHERE t.delivery_id = $1 ORDER BY t.ref_name",
        delivery_id
    )
}
