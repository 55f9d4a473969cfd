//! All SQL of hooks, deliveries and refusals.

use super::state::{DeliveryId, HookId, Provider, RefusalId, RefusalReason};
use crate::audit::AuditId;
use crate::clock::At;
use crate::db::{Conn, Error};
use bytes::Bytes;
use contract::digest::Digest;

// Hooks ------------------------------------------------------------------------------------------

pub(super) async fn insert_hook(
    conn: &mut Conn,
    id: &HookId,
    project_id: &str,
    provider: Provider,
    pusher_id: Option<&str>,
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO hook (id, project_id, provider, pusher_id, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        id.as_str(),
        project_id,
        provider.as_str(),
        pusher_id,
        at.0
    )?;
    Ok(())
}

pub(super) async fn insert_secret(
    conn: &mut Conn,
    id: &str,
    hook_id: &HookId,
    sealed: &[u8],
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO hook_secret (id, hook_id, sealed, created_at) VALUES ($1, $2, $3, $4)",
        id,
        hook_id.as_str(),
        sealed,
        at.0
    )?;
    Ok(())
}

/// Switches a hook off; false when there is none of this project that is on.
pub(super) async fn disable_hook(
    conn: &mut Conn,
    project_id: &str,
    id: &HookId,
    at: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE hook SET disabled_at = $1
         WHERE id = $2 AND project_id = $3 AND disabled_at IS NULL",
        at.0,
        id.as_str(),
        project_id
    )?;
    Ok(rows == 1)
}

/// Ends a hook's secrets: what holds without an end at `until`, what had an end already now. False when the
/// project has no such hook that is on.
pub(super) async fn end_secrets(
    conn: &mut Conn,
    project_id: &str,
    hook_id: &HookId,
    now: At,
    until: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE hook_secret SET until_at = CASE WHEN until_at IS NULL THEN $1 ELSE $2 END
         WHERE hook_id = (SELECT id FROM hook WHERE id = $3 AND project_id = $4 AND disabled_at IS NULL)
           AND (until_at IS NULL OR until_at > $2)",
        until.0,
        now.0,
        hook_id.as_str(),
        project_id
    )?;
    Ok(rows > 0)
}

/// A secret that may verify, with its hook.
#[derive(sqlx::FromRow)]
pub(super) struct SecretRow {
    pub(super) hook_id: String,
    pub(super) project_id: String,
    pub(super) provider: String,
    pub(super) secret_id: String,
    pub(super) sealed: Vec<u8>,
    pub(super) until_at: Option<i64>,
}

/// The secrets of all hooks that are on, newest first.
pub(super) async fn active_secrets(conn: &mut Conn, now: At) -> Result<Vec<SecretRow>, Error> {
    crate::fetch_all!(
        conn,
        SecretRow,
        "SELECT h.id AS hook_id, h.project_id, h.provider, s.id AS secret_id, s.sealed, s.until_at
         FROM hook h JOIN hook_secret s ON s.hook_id = h.id
         WHERE h.disabled_at IS NULL AND (s.until_at IS NULL OR s.until_at > $1)
         ORDER BY h.id, s.created_at DESC, s.id DESC",
        now.0
    )
}

/// A hook as pages show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct HookRow {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// `github` or `git`.
    pub provider: String,
    /// The person that it is bound to.
    pub pusher_id: Option<String>,
    /// When it was made (µs since 1970 UTC).
    pub created_at: i64,
    /// Since when it is off.
    pub disabled_at: Option<i64>,
}

/// A project's hooks, oldest first.
pub async fn hooks_of_project(conn: &mut Conn, project_id: &str) -> Result<Vec<HookRow>, Error> {
    crate::fetch_all!(
        conn,
        HookRow,
        "SELECT id, project_id, provider, pusher_id, created_at, disabled_at FROM hook
         WHERE project_id = $1 ORDER BY created_at, id",
        project_id
    )
}

/// One hook.
pub async fn hook_row(conn: &mut Conn, id: &str) -> Result<Option<HookRow>, Error> {
    crate::fetch_optional!(
        conn,
        HookRow,
        "SELECT id, project_id, provider, pusher_id, created_at, disabled_at FROM hook
         WHERE id = $1",
        id
    )
}

// Deliveries -------------------------------------------------------------------------------------

/// A delivery on its way in.
pub(super) struct NewDelivery {
    pub(super) id: DeliveryId,
    pub(super) hook_id: HookId,
    pub(super) project_id: String,
    pub(super) provider: Provider,
    pub(super) external_id: String,
    pub(super) event: String,
    pub(super) headers: String,
    pub(super) body_digest: Digest,
    pub(super) body_bytes: i64,
    pub(super) body: Option<Bytes>,
    pub(super) body_key: Option<String>,
    pub(super) secret_id: String,
    pub(super) address: [u8; 16],
    pub(super) received_at: At,
    pub(super) audit_id: AuditId,
}

/// Inserts unless its id or its body is here: false then. One statement decides both.
pub(super) async fn insert_first(conn: &mut Conn, new: &NewDelivery) -> Result<bool, Error> {
    insert(conn, new, new.body_key.as_deref(), None).await
}

/// Inserts a replay unless its id is here.
pub(super) async fn insert_replay(
    conn: &mut Conn,
    new: &NewDelivery,
    of: &DeliveryId,
) -> Result<bool, Error> {
    insert(conn, new, None, Some(of.as_str())).await
}

async fn insert(
    conn: &mut Conn,
    new: &NewDelivery,
    body_key: Option<&str>,
    replays_id: Option<&str>,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                               body_digest, body_bytes, body, signature, secret_id, address,
                               received_at, body_key, replays_id, audit_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         ON CONFLICT DO NOTHING",
        new.id.as_str(),
        new.hook_id.as_str(),
        &new.project_id,
        new.provider.as_str(),
        &new.external_id,
        &new.event,
        &new.headers,
        new.body_digest.to_string(),
        new.body_bytes,
        new.body.as_deref(),
        new.provider.signature(),
        &new.secret_id,
        new.address.as_slice(),
        new.received_at.0,
        body_key,
        replays_id,
        new.audit_id.as_str()
    )?;
    Ok(inserted == 1)
}

/// The delivery that has this one's id already, with the digest of its body.
pub(super) async fn by_external_id(
    conn: &mut Conn,
    new: &NewDelivery,
) -> Result<Option<(DeliveryId, String)>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, String),
        "SELECT id, body_digest FROM delivery WHERE hook_id = $1 AND external_id = $2",
        new.hook_id.as_str(),
        &new.external_id
    )?;
    row.map(|(id, digest)| Ok((delivery_id(&id)?, digest)))
        .transpose()
}

/// The delivery that holds this one's body, and when it came.
pub(super) async fn holder_of_body(
    conn: &mut Conn,
    new: &NewDelivery,
) -> Result<Option<(DeliveryId, i64)>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, i64),
        "SELECT id, received_at FROM delivery WHERE hook_id = $1 AND body_key = $2",
        new.hook_id.as_str(),
        new.body_key.as_deref()
    )?;
    row.map(|(id, at)| Ok((delivery_id(&id)?, at))).transpose()
}

/// The replay window of this delivery is over: the next one with its body is a first one again.
pub(super) async fn release_body(conn: &mut Conn, id: &DeliveryId) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE delivery SET body_key = NULL WHERE id = $1",
        id.as_str()
    )?;
    Ok(())
}

fn delivery_id(text: &str) -> Result<DeliveryId, Error> {
    DeliveryId::parse(text).map_err(|_| Error::Inconsistent {
        table: "delivery",
        column: "id",
        id: text.to_owned(),
    })
}

/// Marks a delivery as looked at, with what lists show of it; false when another was faster.
pub async fn consume(
    conn: &mut Conn,
    id: &str,
    ref_name: Option<&str>,
    commit: Option<&str>,
    sender: Option<&str>,
    at: At,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE delivery SET consumed_at = $2, ref_name = $3, commit_id = $4, sender = $5
         WHERE id = $1 AND consumed_at IS NULL",
        id,
        at.0,
        ref_name,
        commit,
        sender
    )?;
    Ok(updated == 1)
}

/// An accepted delivery, without its body.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeliveryRow {
    /// Its id.
    pub id: String,
    /// Its hook.
    pub hook_id: String,
    /// Its project.
    pub project_id: String,
    /// `github` or `git`.
    pub provider: String,
    /// The sender's id.
    pub external_id: String,
    /// The sender's word for what happened.
    pub event: String,
    /// JSON `[[name, value], …]`, credentials not kept.
    pub headers: String,
    /// SHA-256 of the body.
    pub body_digest: String,
    /// Its length.
    pub body_bytes: i64,
    /// The algorithm of the signature.
    pub signature: String,
    /// The secret that it was made with.
    pub secret_id: String,
    /// Where it came from: IPv6, IPv4 mapped.
    pub address: Vec<u8>,
    /// When (µs since 1970 UTC).
    pub received_at: i64,
    /// The earlier delivery whose body it repeats.
    pub replays_id: Option<String>,
    /// Its audit entry.
    pub audit_id: String,
    /// The first ref that it tells.
    pub ref_name: Option<String>,
    /// That ref's commit.
    pub commit_id: Option<String>,
    /// Who, as the sender claims.
    pub sender: Option<String>,
    /// When `trigger` had decided.
    pub consumed_at: Option<i64>,
}

/// One delivery.
pub async fn delivery(conn: &mut Conn, id: &str) -> Result<Option<DeliveryRow>, Error> {
    crate::fetch_optional!(
        conn,
        DeliveryRow,
        "SELECT id, hook_id, project_id, provider, external_id, event, headers, body_digest,
                body_bytes, signature, secret_id, address, received_at, replays_id, audit_id,
                ref_name, commit_id, sender, consumed_at
         FROM delivery WHERE id = $1",
        id
    )
}

/// Where a delivery's body lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyAt {
    /// Here it is.
    Row(Vec<u8>),
    /// In the blob with this digest.
    Blob(Digest),
}

/// A delivery's body; none when there is no such delivery.
pub async fn body(conn: &mut Conn, id: &str) -> Result<Option<BodyAt>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (Option<Vec<u8>>, String),
        "SELECT body, body_digest FROM delivery WHERE id = $1",
        id
    )?;
    row.map(|(body, digest)| match body {
        Some(bytes) => Ok(BodyAt::Row(bytes)),
        None => Digest::parse(&digest)
            .map(BodyAt::Blob)
            .map_err(|_| Error::Inconsistent {
                table: "delivery",
                column: "body_digest",
                id: id.to_owned(),
            }),
    })
    .transpose()
}

// Refusals ---------------------------------------------------------------------------------------

/// A refusal on its way in.
#[derive(Clone)]
pub(super) struct NewRefusal {
    pub(super) id: RefusalId,
    pub(super) hook_id: Option<HookId>,
    pub(super) project_id: Option<String>,
    pub(super) reason: RefusalReason,
    pub(super) event: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) body_digest: Option<String>,
    pub(super) body_bytes: Option<i64>,
    pub(super) address: [u8; 16],
    pub(super) received_at: At,
    pub(super) requests: i64,
    pub(super) folded: bool,
    pub(super) audit_id: AuditId,
}

pub(super) async fn insert_refusal(conn: &mut Conn, new: &NewRefusal) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO refusal (id, hook_id, project_id, reason, event, external_id, body_digest,
                              body_bytes, address, received_at, requests, folded, audit_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.id.as_str(),
        new.hook_id.as_ref().map(HookId::as_str),
        &new.project_id,
        new.reason.as_str(),
        &new.event,
        &new.external_id,
        &new.body_digest,
        new.body_bytes,
        new.address.as_slice(),
        new.received_at.0,
        new.requests,
        i64::from(new.folded),
        new.audit_id.as_str()
    )?;
    Ok(())
}

/// A refusal.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RefusalRow {
    /// Its id.
    pub id: String,
    /// The hook; none: unknown.
    pub hook_id: Option<String>,
    /// Its project.
    pub project_id: Option<String>,
    /// Why.
    pub reason: String,
    /// The claimed event.
    pub event: Option<String>,
    /// The claimed id.
    pub external_id: Option<String>,
    /// SHA-256 of the body, which was not kept.
    pub body_digest: Option<String>,
    /// The body's length.
    pub body_bytes: Option<i64>,
    /// Where it came from; of a folded one the network, or zeros for several.
    pub address: Vec<u8>,
    /// When; of a folded one the end of its minute (µs since 1970 UTC).
    pub received_at: i64,
    /// How many.
    pub requests: i64,
    /// 1: it counts many of one kind.
    pub folded: i64,
    /// Its audit entry.
    pub audit_id: String,
}

/// One refusal.
pub async fn refusal(conn: &mut Conn, id: &str) -> Result<Option<RefusalRow>, Error> {
    crate::fetch_optional!(
        conn,
        RefusalRow,
        "SELECT id, hook_id, project_id, reason, event, external_id, body_digest, body_bytes,
                address, received_at, requests, folded, audit_id
         FROM refusal WHERE id = $1",
        id
    )
}
