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
    pub(super) received_at: i64,
    pub(super) replays_id: Option<String>,
}

pub(super) async fn waiting(conn: &mut Conn, limit: i64) -> Result<Vec<Waiting>, Error> {
    crate::fetch_all!(
        conn,
        Waiting,
        "SELECT id, project_id, provider, event, received_at, replays_id FROM delivery
         WHERE consumed_at IS NULL ORDER BY received_at, id LIMIT $1",
        limit
    )
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
