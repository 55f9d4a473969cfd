//! Shows a delivery's body to a person: that they saw it is an audit entry before they do.

use super::intake::Intake;
use super::state::{DeliveryError, DeliveryId};
use super::store::{self, BodyAt};
use crate::audit::{self, Record};
use crate::identity::Actor;

/// The body, verbatim; none when there is no such delivery.
pub async fn payload(
    intake: &Intake,
    id: &DeliveryId,
    actor: &Actor,
) -> Result<Option<Vec<u8>>, DeliveryError> {
    let ground = intake.ground();
    let (ids, now) = (ground.ids.clone(), ground.now());
    let (wanted, actor) = (id.clone(), actor.clone());
    let seen = ground
        .db
        .write("delivery.show-payload", move |conn| {
            Box::pin(async move {
                let Some(found) = store::delivery(conn, wanted.as_str()).await? else {
                    return Ok(None);
                };
                let subject = format!("delivery:{wanted}");
                let record = Record::new("delivery.payload-seen", subject, &actor)
                    .project(&found.project_id)
                    .with("body", found.body_digest.as_str());
                audit::append(conn, now, &*ids, record).await?;
                let body = store::body(conn, wanted.as_str()).await?;
                Ok::<_, DeliveryError>(body)
            })
        })
        .await?;
    match seen {
        None => Ok(None),
        Some(BodyAt::Row(bytes)) => Ok(Some(bytes)),
        Some(BodyAt::Blob(digest)) => {
            let read = intake.blobs().get(&digest).await;
            let bytes = read.map_err(|source| DeliveryError::Body {
                id: id.clone(),
                source,
            })?;
            Ok(Some(bytes))
        }
    }
}
