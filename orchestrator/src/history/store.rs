//! All SQL that reads across rooms for pages.
//!
//! `$1` is [`Reach::sql`]: `*`, or the ids that may be seen between blanks. Ids are UUIDs, so that
//! LIKE has no wildcard in them and no letter case to differ in.

mod delivery;
mod home;

pub use delivery::{DeliveryRow, deliveries};
pub use home::{
    EnvironmentRow, LeaseRow, OpenRow, ReleaseRun, RunRow, environments, failed, leases,
    open_in_environments, run_of_release, running,
};

use crate::db::{Conn, Error};

/// The secret that a delivery was signed with, as far as it may be told.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SecretRow {
    /// Since when it is good (µs since 1970 UTC).
    pub created_at: i64,
    /// Until when; none: it is the current one.
    pub until_at: Option<i64>,
}

/// A hook's secret by its id.
pub async fn secret(conn: &mut Conn, id: &str) -> Result<Option<SecretRow>, Error> {
    crate::fetch_optional!(
        conn,
        SecretRow,
        "SELECT created_at, until_at FROM hook_secret WHERE id = $1",
        id
    )
}

/// A later delivery of the same body.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Repeat {
    /// Its id.
    pub id: String,
    /// When (µs since 1970 UTC).
    pub received_at: i64,
}

/// The deliveries that repeated this one's body under other ids, oldest first.
pub async fn repeats(conn: &mut Conn, id: &str, limit: i64) -> Result<Vec<Repeat>, Error> {
    crate::fetch_all!(
        conn,
        Repeat,
        "SELECT id, received_at FROM delivery WHERE replays_id = $1
         ORDER BY received_at, id LIMIT $2",
        id,
        limit
    )
}

/// A decision about one ref of a delivery, with a run that it started; a ref that ran again stands
/// once for each run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Decision {
    /// The ref; empty: the whole delivery.
    pub ref_name: String,
    /// Its commit.
    pub commit_id: Option<String>,
    /// `start`, `skip`, `hold`.
    pub decision: String,
    /// The stable reason.
    pub reason: String,
    /// In words.
    pub detail: String,
    /// When (µs since 1970 UTC).
    pub decided_at: i64,
    /// The run's id.
    pub run_id: Option<String>,
    /// The run's number.
    pub run_number: Option<i64>,
    /// The run's state.
    pub run_state: Option<String>,
    /// Why the run ended.
    pub run_cause: Option<String>,
    /// In words.
    pub run_detail: Option<String>,
}

/// The decisions about a delivery, by ref and run.
pub async fn decisions(conn: &mut Conn, id: &str, limit: i64) -> Result<Vec<Decision>, Error> {
    crate::fetch_all!(
        conn,
        Decision,
        "SELECT t.ref_name, t.commit_id, t.decision, t.reason, t.detail, t.decided_at, r.id AS run_id,
                r.number AS run_number, r.state AS run_state, r.cause AS run_cause,
                r.cause_detail AS run_detail
         FROM trigger t LEFT JOIN run r ON r.trigger_id = t.id
         WHERE t.delivery_id = $1 ORDER BY t.ref_name, t.id, COALESCE(r.number, 0) LIMIT $2",
        id,
        limit
    )
}

/// The images of a run: name and digest. What lost leases made does not count.
pub async fn images_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<(String, String)>, Error> {
    crate::fetch_all!(
        conn,
        (String, String),
        "SELECT i.name, i.digest FROM image i JOIN step s ON s.id = i.step_id AND s.fence = i.fence
         WHERE i.run_id = $1 ORDER BY i.name",
        run_id
    )
}

/// How many findings stand open in a run, by severity.
pub async fn findings_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<(String, i64)>, Error> {
    crate::fetch_all!(
        conn,
        (String, i64),
        "SELECT f.severity, COUNT(*) FROM finding f
             JOIN step s ON s.id = f.step_id AND s.fence = f.fence
         WHERE f.run_id = $1 AND f.gone_at IS NULL GROUP BY f.severity
         ORDER BY CASE f.severity WHEN 'unknown' THEN 0 WHEN 'critical' THEN 1 WHEN 'high' THEN 2
             WHEN 'medium' THEN 3 ELSE 4 END",
        run_id
    )
}

/// A promotion of a run's release.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PromotionRow {
    /// Its id.
    pub id: String,
    /// Its number in the project.
    pub number: i64,
    /// Where to.
    pub environment: String,
    /// Where it stands.
    pub state: String,
}

/// The promotions of a run's release, oldest first.
pub async fn promotions_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<PromotionRow>, Error> {
    crate::fetch_all!(
        conn,
        PromotionRow,
        "SELECT m.id, m.number, m.environment, m.state
         FROM release l JOIN promotion m ON m.release_id = l.id
         WHERE l.run_id = $1 ORDER BY m.requested_at, m.id LIMIT 100",
        run_id
    )
}
