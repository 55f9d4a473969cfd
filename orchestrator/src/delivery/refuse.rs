//! Records a refused request, without its body.

use super::fold::Kind;
use super::intake::Intake;
use super::signed::Refused;
use super::state::{DeliveryError, RefusalId, RefusalReason};
use super::store::{self, NewRefusal};
use crate::audit::{self, AuditId, Record};
use crate::identity::Actor;
use crate::metrics::metrics;

/// Records a refusal before its answer, or counts it when many of its kind came in this minute.
pub async fn refuse(intake: &Intake, refused: &Refused) {
    metrics().delivery_refused(refused.reason.as_str());
    let now = intake.ground().now();
    let hook = refused.hook.as_ref().map(|hook| &hook.id);
    let count = || {
        let mut folding = intake.folding();
        folding.count(now, hook, refused.reason, refused.address);
    };
    if !intake.folding().stands(now, hook, refused.reason) {
        return count();
    }
    let new = NewRefusal {
        id: RefusalId::new(&*intake.ground().ids),
        hook_id: hook.cloned(),
        project_id: refused.hook.as_ref().map(|hook| hook.project_id.clone()),
        reason: refused.reason,
        event: refused.claims.event.clone(),
        external_id: refused.claims.external_id.clone(),
        body_digest: refused.body.map(|(digest, _)| digest.to_string()),
        body_bytes: refused
            .body
            .and_then(|(_, bytes)| i64::try_from(bytes).ok()),
        address: refused.address.octets(),
        received_at: now,
        requests: 1,
        folded: false,
        audit_id: AuditId::new(&*intake.ground().ids),
    };
    if let Err(error) = write(intake, new).await {
        // It is answered all the same, and counted with the next minute.
        tracing::error!(error = %error, "a refusal could not be written; it is counted instead");
        count();
    }
}

/// Writes the count of one kind of one minute.
pub(super) async fn write_folded(
    intake: &Intake,
    kind: &Kind,
    requests: u64,
) -> Result<(), DeliveryError> {
    let known = kind.hook.as_ref().and_then(|id| intake.hook(id.as_str()));
    let address = kind.network.map_or([0; 16], |network| network.octets());
    let new = NewRefusal {
        id: RefusalId::new(&*intake.ground().ids),
        hook_id: kind.hook.clone(),
        project_id: known.map(|hook| hook.project_id.clone()),
        reason: kind.reason,
        event: None,
        external_id: None,
        body_digest: None,
        body_bytes: None,
        address,
        received_at: kind.ended_at(),
        requests: i64::try_from(requests).unwrap_or(i64::MAX),
        folded: true,
        audit_id: AuditId::new(&*intake.ground().ids),
    };
    write(intake, new).await
}

async fn write(intake: &Intake, new: NewRefusal) -> Result<(), DeliveryError> {
    let ground = intake.ground();
    let (ids, now) = (ground.ids.clone(), ground.now());
    // Nothing is read and the row's key is new: there is nothing to guard.
    ground
        .db
        .write_guarded("delivery.refuse", move |conn| {
            Box::pin(async move {
                store::insert_refusal(conn, &new).await?;
                let actor = match &new.hook_id {
                    Some(id) => Actor::Hook { id: id.to_string() },
                    None => Actor::System,
                };
                let subject = format!("refusal:{}", new.id);
                let mut record = Record::new("delivery.refused", subject, &actor)
                    .with("reason", new.reason.as_str())
                    .with("requests", new.requests)
                    .with("folded", new.folded);
                if let Some(project) = &new.project_id {
                    record = record.project(project);
                }
                if let Some(digest) = &new.body_digest {
                    record = record.with("body", digest.as_str());
                }
                audit::append_as(conn, now, new.audit_id.clone(), &*ids, record).await?;
                Ok(())
            })
        })
        .await
}

impl RefusalReason {
    /// Whether its answer says no more than "not verified": what a stranger may not find out.
    pub fn is_secret(self) -> bool {
        match self {
            Self::UnknownHook
            | Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureWrong
            | Self::TimestampOutside => true,
            Self::BodyTooLarge
            | Self::BodyTruncated
            | Self::BodyEmpty
            | Self::DeliveryIdMalformed
            | Self::IdReused
            | Self::Overloaded
            | Self::Other => false,
        }
    }
}
