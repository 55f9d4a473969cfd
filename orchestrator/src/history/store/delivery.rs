//! The statement of the trigger history.

use super::super::state::{Cursor, Decided, Outcome, Wanted};
use crate::db::{Conn, Error};
use crate::identity::Reach;
use std::net::Ipv6Addr;

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
