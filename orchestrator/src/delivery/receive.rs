//! Stores a verified delivery with its audit entry in one durable commit, before its sender hears
//! of it.

use super::intake::Intake;
use super::refuse::refuse;
use super::signed::SignedBody;
use super::state::{DeliveryError, DeliveryId, Received, RefusalReason};
use super::store::{self, NewDelivery};
use crate::audit::{self, AuditId, Record};
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::identity::Actor;
use crate::metrics::metrics;
use std::sync::Arc;
use std::time::Duration;

/// Bodies up to this lie in the row, larger ones are blobs: pages of the database stay small.
const ROW_BODY_BYTES_MAX: usize = 64 * 1024;
/// A body under another, unsigned id is a replay within this time.
const REPLAY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Two replays of one old body can race for its key; the third try of one has lost to others.
const TRIES_MAX: u32 = 3;

/// Receives a delivery.
pub async fn receive(intake: &Intake, signed: SignedBody) -> Result<Received, DeliveryError> {
    let ground = intake.ground();
    let id = DeliveryId::new(&*ground.ids);
    let in_row = signed.body.len() <= ROW_BODY_BYTES_MAX;
    if !in_row {
        let put = crate::kill::outside("blob.put-body", intake.blobs().put(signed.body.to_vec()));
        put.await.map_err(|source| DeliveryError::Body {
            id: id.clone(),
            source,
        })?;
    }
    let signs_the_id = signed.hook.provider.signs_the_id();
    let new = Arc::new(NewDelivery {
        id,
        hook_id: signed.hook.id.clone(),
        project_id: signed.hook.project_id.clone(),
        provider: signed.hook.provider,
        external_id: signed.external_id.clone(),
        event: signed.event.clone(),
        headers: signed.headers.clone(),
        body_digest: signed.body_digest,
        body_bytes: i64::try_from(signed.body.len()).unwrap_or(i64::MAX),
        body: in_row.then(|| signed.body.clone()),
        body_key: (!signs_the_id).then(|| signed.body_digest.to_string()),
        secret_id: signed.secret_id.clone(),
        address: signed.address.octets(),
        received_at: ground.now(),
        audit_id: AuditId::new(&*ground.ids),
    });
    let ids = Arc::clone(&ground.ids);
    // Less than serializable is enough: both questions (was this id here, was this body here) are
    // unique keys of the one row that is inserted.
    let received: Result<Received, DeliveryError> = ground
        .db
        .write_guarded("delivery.receive", move |conn| {
            Box::pin(async move { Ok(settle(conn, &*ids, &new).await?) })
        })
        .await;
    let received = received?;
    let outcome = match &received {
        Received::Accepted { id } => {
            tracing::info!(delivery.id = %id, "a delivery was accepted");
            "accepted"
        }
        Received::Repeated { .. } => "repeated",
        Received::Replayed { .. } => "replayed",
        Received::IdReused => "id-reused",
    };
    metrics().delivery_received(outcome);
    if received == Received::IdReused {
        refuse(intake, &signed.refused(RefusalReason::IdReused)).await;
    }
    Ok(received)
}

async fn settle(
    conn: &mut Conn,
    ids: &dyn IdSource,
    new: &NewDelivery,
) -> Result<Received, crate::db::Error> {
    for _ in 0..TRIES_MAX {
        if store::insert_first(conn, new).await? {
            note(conn, ids, new, "delivery.accepted", None).await?;
            return Ok(Received::Accepted { id: new.id.clone() });
        }
        if let Some((id, digest)) = store::by_external_id(conn, new).await? {
            return Ok(if digest == new.body_digest.to_string() {
                Received::Repeated { id }
            } else {
                Received::IdReused
            });
        }
        let Some((of, at)) = store::holder_of_body(conn, new).await? else {
            continue;
        };
        if new.received_at.since(At(at)) > REPLAY_WINDOW {
            store::release_body(conn, &of).await?;
            continue;
        }
        if store::insert_replay(conn, new, &of).await? {
            note(conn, ids, new, "delivery.replayed", Some(&of)).await?;
            let id = new.id.clone();
            return Ok(Received::Replayed { id, of });
        }
    }
    Err(crate::db::Error::Collided("delivery.receive"))
}

async fn note(
    conn: &mut Conn,
    ids: &dyn IdSource,
    new: &NewDelivery,
    kind: &'static str,
    replays: Option<&DeliveryId>,
) -> Result<(), crate::db::Error> {
    let actor = Actor::Hook {
        id: new.hook_id.to_string(),
    };
    let mut record = Record::new(kind, format!("delivery:{}", new.id), &actor)
        .project(&new.project_id)
        .with("external_id", new.external_id.as_str())
        .with("event", new.event.as_str())
        .with("body", new.body_digest.to_string())
        .with("bytes", new.body_bytes)
        .with("signature", new.provider.signature())
        .with("secret", new.secret_id.as_str());
    if let Some(of) = replays {
        record = record.with("replays", of.as_str());
    }
    audit::append_as(conn, new.received_at, new.audit_id.clone(), ids, record).await
}
