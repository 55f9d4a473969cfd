//! All SQL that reads across rooms for pages.
//!
//! `$1` is [`Reach::sql`]: `*`, or the ids that may be seen between blanks. Ids are UUIDs, so that
//! LIKE has no wildcard in them and no letter case to differ in.

use super::state::{Cursor, Decided, Outcome, Wanted};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::identity::Reach;
use std::net::Ipv6Addr;

// The trigger history ----------------------------------------------------------------------------

/// A row of the trigger history: an accepted delivery with what it started, or a refusal.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// The delivery's or refusal's id.
    pub id: String,
    /// The project's name; none: the hook is unknown.
    pub project: Option<String>,
    /// When; of a folded refusal the end of its minute (µs since 1970 UTC).
    pub at: i64,
    /// The hook's provider; none: unknown.
    pub provider: Option<String>,
    /// The hook; none: unknown.
    pub hook_id: Option<String>,
    /// The sender's id; of a refusal, as claimed.
    pub external_id: Option<String>,
    /// The sender's word; of a refusal, as claimed.
    pub event: Option<String>,
    /// The first ref that it tells.
    pub ref_name: Option<String>,
    /// That ref's commit.
    pub commit_id: Option<String>,
    /// Who, as the sender claims.
    pub sender: Option<String>,
    /// Where it came from; of a folded refusal the network; none: several.
    pub address: Option<Ipv6Addr>,
    /// The signature's algorithm; none: it did not hold, or was not looked at.
    pub signature: Option<String>,
    /// SHA-256 of the body, where it came whole.
    pub body_digest: Option<String>,
    /// The earlier delivery whose body it repeats.
    pub replays_id: Option<String>,
    /// What became of it; of several refs that started something, if one did.
    pub decided: Decided,
    /// Decisions, one a ref.
    pub refs: i64,
    /// The run that it started last.
    pub run_number: Option<i64>,
    /// How many requests the row stands for.
    pub requests: i64,
    /// It counts many of one kind.
    pub folded: bool,
}

#[derive(sqlx::FromRow)]
struct DeliverySql {
    id: String,
    project: Option<String>,
    at: i64,
    provider: Option<String>,
    hook_id: Option<String>,
    external_id: Option<String>,
    event: Option<String>,
    ref_name: Option<String>,
    commit_id: Option<String>,
    sender: Option<String>,
    address: Vec<u8>,
    signature: Option<String>,
    body_digest: Option<String>,
    replays_id: Option<String>,
    decided: String,
    refs: i64,
    run_number: Option<i64>,
    requests: i64,
    folded: i64,
}

impl TryFrom<DeliverySql> for DeliveryRow {
    type Error = Error;

    fn try_from(row: DeliverySql) -> Result<Self, Error> {
        let DeliverySql {
            id,
            project,
            at,
            provider,
            hook_id,
            external_id,
            event,
            ref_name,
            commit_id,
            sender,
            address,
            signature,
            body_digest,
            replays_id,
            decided,
            refs,
            run_number,
            requests,
            folded,
        } = row;
        let wrong = |column| Error::Inconsistent {
            table: "delivery",
            column,
            id: id.clone(),
        };
        let (outcome, reason) = decided.split_once(' ').unwrap_or((decided.as_str(), ""));
        let decided = Decided {
            outcome: Outcome::parse(outcome).ok_or_else(|| wrong("decision"))?,
            reason: reason.to_owned(),
        };
        let octets: [u8; 16] = address.try_into().map_err(|_| wrong("address"))?;
        let folded = folded != 0;
        let address = Some(Ipv6Addr::from(octets)).filter(|a| !(folded && a.is_unspecified()));
        Ok(Self {
            id,
            project,
            at,
            provider,
            hook_id,
            external_id,
            event,
            ref_name,
            commit_id,
            sender,
            address,
            signature,
            body_digest,
            replays_id,
            decided,
            refs,
            run_number,
            requests,
            folded,
        })
    }
}

/// What is wanted of what came, from a cursor on, newest first: at most `limit` rows. Requests at
/// unknown hooks belong to no project: `strangers` says whether they are shown.
#[expect(
    clippy::too_many_lines,
    reason = "one statement: what is wanted and what may be seen is decided before its limit"
)]
pub async fn deliveries(
    conn: &mut Conn,
    reach: &Reach,
    strangers: bool,
    wanted: &Wanted,
    after: &Cursor,
    limit: i64,
) -> Result<Vec<DeliveryRow>, Error> {
    let network = wanted.network.as_ref();
    let first = network.map(|network| network.first().octets().to_vec());
    let last = network.map(|network| network.last().octets().to_vec());
    let folded_first = network.map(|network| folded_from(network.first()).octets().to_vec());
    let search = wanted.search.as_ref();
    let commit = search.and_then(|s| s.commit.as_ref().map(|digits| format!("{digits}%")));
    let rows = crate::fetch_all!(
        conn,
        DeliverySql,
        // Row values and ORDER BY are those of the indexes delivery_list and refusal_list. `start`
        // sorts behind `skip` and `hold`: of several refs the one that started something is shown.
        // A folded refusal tells its minute by its end, and its addresses by their network.
        "SELECT d.id, (SELECT p.name FROM project p WHERE p.id = d.project_id) AS project,
                d.received_at AS at, d.provider, d.hook_id, d.external_id, d.event, d.ref_name,
                d.commit_id, d.sender, d.address, d.signature, d.body_digest, d.replays_id,
                COALESCE((SELECT MAX(t.decision || ' ' || t.reason) FROM trigger t
                          WHERE t.delivery_id = d.id), 'waiting') AS decided,
                (SELECT COUNT(*) FROM trigger t WHERE t.delivery_id = d.id) AS refs,
                (SELECT MAX(r.number) FROM trigger t JOIN run r ON r.trigger_id = t.id
                 WHERE t.delivery_id = d.id) AS run_number,
                CAST(1 AS BIGINT) AS requests, CAST(0 AS BIGINT) AS folded
         FROM delivery d
         WHERE (d.received_at, d.id) < ($3, $4) AND d.received_at >= $13 AND d.received_at < $14
           AND ($1 = '*' OR $1 LIKE '% ' || d.project_id || ' %')
           AND ($5 IS NULL OR d.project_id = $5) AND ($6 IS NULL OR d.event = $6)
           AND ($7 IS NULL OR d.sender = $7)
           AND ($8 IS NULL OR d.address BETWEEN $8 AND $9)
           AND ($11 IS NULL AND $12 IS NULL
                OR $11 = 'waiting' AND $12 IS NULL AND d.consumed_at IS NULL
                OR EXISTS (SELECT 1 FROM trigger t WHERE t.delivery_id = d.id
                             AND ($11 IS NULL OR t.decision = $11)
                             AND ($12 IS NULL OR t.reason = $12)))
           AND ($15 IS NULL OR EXISTS (SELECT 1 FROM trigger t JOIN run r ON r.trigger_id = t.id
                                       WHERE t.delivery_id = d.id
                                         AND (r.state = $15 OR r.cause = $15)))
           AND ($16 IS NULL OR d.id = $16 OR d.external_id = $16 OR d.hook_id = $16
                OR d.ref_name IN ($16, 'refs/heads/' || $16, 'refs/tags/' || $16)
                OR d.commit_id LIKE $17 OR d.body_digest = $18
                OR EXISTS (SELECT 1 FROM trigger t LEFT JOIN run r ON r.trigger_id = t.id
                               LEFT JOIN image i ON i.run_id = r.id
                           WHERE t.delivery_id = d.id
                             AND (t.ref_name IN ($16, 'refs/heads/' || $16, 'refs/tags/' || $16)
                                  OR t.commit_id LIKE $17 OR i.digest = $18 OR r.number = $19)))
         UNION ALL
         SELECT f.id, (SELECT p.name FROM project p WHERE p.id = f.project_id) AS project,
                f.received_at AS at, (SELECT h.provider FROM hook h WHERE h.id = f.hook_id) AS provider,
                f.hook_id, f.external_id, f.event, NULL AS ref_name, NULL AS commit_id,
                NULL AS sender, f.address, NULL AS signature, f.body_digest, NULL AS replays_id,
                'refused ' || f.reason AS decided, CAST(0 AS BIGINT) AS refs,
                CAST(NULL AS BIGINT) AS run_number, f.requests, f.folded
         FROM refusal f
         WHERE (f.received_at, f.id) < ($3, $4) AND f.received_at >= $13
           AND f.received_at - 60000000 * f.folded < $14
           AND (f.project_id IS NULL AND $2 = 1
                OR f.project_id IS NOT NULL AND ($1 = '*' OR $1 LIKE '% ' || f.project_id || ' %'))
           AND ($5 IS NULL OR f.project_id = $5) AND ($6 IS NULL OR f.event = $6)
           AND $7 IS NULL
           AND ($8 IS NULL OR f.folded = 0 AND f.address BETWEEN $8 AND $9
                OR f.folded = 1 AND (f.address BETWEEN $10 AND $9 OR f.address = $20))
           AND ($11 IS NULL OR $11 = 'refused') AND ($12 IS NULL OR f.reason = $12)
           AND $15 IS NULL
           AND ($16 IS NULL OR f.id = $16 OR f.external_id = $16 OR f.hook_id = $16
                OR f.body_digest = $18)
         ORDER BY at DESC, id DESC LIMIT $21",
        reach.sql(),
        i64::from(strangers),
        after.at,
        &after.id,
        wanted.project_id.as_deref(),
        wanted.event.as_deref(),
        wanted.sender.as_deref(),
        first.as_deref(),
        last.as_deref(),
        folded_first.as_deref(),
        wanted.outcome.map(Outcome::as_str),
        wanted.reason.as_deref(),
        wanted.from.map_or(i64::MIN, |at| at.0),
        wanted.until.map_or(i64::MAX, |at| at.0),
        wanted.run.as_deref(),
        search.map(|s| s.exact.as_str()),
        commit,
        search.and_then(|s| s.digest.as_deref()),
        search.and_then(|s| s.run),
        &[0_u8; 16][..],
        limit
    )?;
    rows.into_iter().map(DeliveryRow::try_from).collect()
}

/// The network under which refusals of this address are folded: its /24, or its /64.
fn folded_from(address: Ipv6Addr) -> Ipv6Addr {
    let bits: u32 = if address.to_ipv4_mapped().is_some() {
        8
    } else {
        64
    };
    Ipv6Addr::from_bits(address.to_bits() >> bits << bits)
}

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

// Home -------------------------------------------------------------------------------------------

/// A run of any project, as home shows it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunRow {
    /// The project's name.
    pub project: String,
    /// Its number.
    pub number: i64,
    /// The ref.
    pub ref_name: String,
    /// The commit's first line.
    pub commit_title: String,
    /// Who wrote it.
    pub author_name: String,
    /// Where it stands.
    pub state: String,
    /// Why it ended.
    pub cause: Option<String>,
    /// In words.
    pub cause_detail: Option<String>,
    /// When it was made (µs since 1970 UTC).
    pub created_at: i64,
    /// When its first step was leased.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Its steps.
    pub steps: i64,
    /// Those that have ended.
    pub steps_done: i64,
    /// A step that is worked on.
    pub step: Option<String>,
}

/// What runs or waits to run now, newest first.
pub async fn running(conn: &mut Conn, reach: &Reach, limit: i64) -> Result<Vec<RunRow>, Error> {
    crate::fetch_all!(
        conn,
        RunRow,
        "SELECT p.name AS project, r.number, r.ref_name, r.commit_title, r.author_name, r.state, r.cause,
                r.cause_detail, r.created_at, r.started_at, r.finished_at,
                (SELECT COUNT(*) FROM step s WHERE s.run_id = r.id) AS steps,
                (SELECT COUNT(*) FROM step s WHERE s.run_id = r.id
                   AND s.state IN ('finished', 'skipped')) AS steps_done,
                (SELECT MIN(s.name) FROM step s WHERE s.run_id = r.id
                   AND s.state IN ('leased', 'reported')) AS step
         FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.state IN ('waiting', 'running')
           AND ($1 = '*' OR $1 LIKE '% ' || r.project_id || ' %')
         ORDER BY r.created_at DESC, r.id DESC LIMIT $2",
        reach.sql(),
        limit
    )
}

/// What ended otherwise than well since then, newest first. What somebody ended, or a newer run
/// replaced, is no failure.
pub async fn failed(
    conn: &mut Conn,
    reach: &Reach,
    since: At,
    limit: i64,
) -> Result<Vec<RunRow>, Error> {
    crate::fetch_all!(
        conn,
        RunRow,
        "SELECT p.name AS project, r.number, r.ref_name, r.commit_title, r.author_name, r.state, r.cause,
                r.cause_detail, r.created_at, r.started_at, r.finished_at,
                CAST(0 AS BIGINT) AS steps, CAST(0 AS BIGINT) AS steps_done, NULL AS step
         FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.state IN ('finished', 'invalid', 'refused')
           AND COALESCE(r.cause, 'invalid') NOT IN ('passed', 'cancelled', 'superseded')
           AND r.created_at >= $3 AND ($1 = '*' OR $1 LIKE '% ' || r.project_id || ' %')
         ORDER BY r.created_at DESC, r.id DESC LIMIT $2",
        reach.sql(),
        limit,
        since.0
    )
}

/// What an environment of any project holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EnvironmentRow {
    /// The project's id.
    pub project_id: String,
    /// The environment.
    pub environment: String,
    /// The run that its release came from.
    pub run_number: i64,
    /// That run's id.
    pub run_id: String,
    /// Since when (µs since 1970 UTC).
    pub since_at: i64,
}

/// What the environments hold.
pub async fn environments(conn: &mut Conn, reach: &Reach) -> Result<Vec<EnvironmentRow>, Error> {
    crate::fetch_all!(
        conn,
        EnvironmentRow,
        "SELECT e.project_id, e.environment, r.number AS run_number, r.id AS run_id, e.since_at
         FROM environment_release e JOIN release l ON l.id = e.release_id
             JOIN run r ON r.id = l.run_id
         WHERE $1 = '*' OR $1 LIKE '% ' || e.project_id || ' %'
         ORDER BY e.project_id, e.environment LIMIT 1000",
        reach.sql()
    )
}

/// A step that a worker works on.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LeaseRow {
    /// The worker.
    pub worker_id: String,
    /// The project's id.
    pub project_id: String,
    /// The project's name.
    pub project: String,
    /// The run.
    pub run_number: i64,
    /// The step.
    pub step: String,
    /// Since when (µs since 1970 UTC).
    pub leased_at: i64,
}

/// What workers work on now, of all projects: whose they are, the caller checks before it tells.
pub async fn leases(conn: &mut Conn) -> Result<Vec<LeaseRow>, Error> {
    crate::fetch_all!(
        conn,
        LeaseRow,
        "SELECT s.worker_id, s.project_id, p.name AS project, r.number AS run_number, s.name AS step,
                COALESCE(s.leased_at, 0) AS leased_at
         FROM step s JOIN run r ON r.id = s.run_id JOIN project p ON p.id = s.project_id
         WHERE s.state = 'leased' ORDER BY s.leased_at, s.id LIMIT 1000"
    )
}
