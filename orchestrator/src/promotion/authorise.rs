//! Asks the gate, and writes the intent in the transaction in which it let through.

use super::state::{Promotion, PromotionError, PromotionId};
use super::store;
use super::subject::subject;
use crate::audit::{self, Record};
use crate::db::Conn;
use crate::gate::{self, GatePassed, Judgement, Pass, Subject};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::reconcile::Progress;
use evidence::cosign::Payload;

/// What the gate says of a promotion now; `None` when its environment is gone.
pub async fn judge(
    ground: &Ground,
    promotion: &Promotion,
) -> Result<Option<Judgement>, PromotionError> {
    judge_in(&mut ground.db.reader().await?, ground, promotion).await
}

/// The same in the caller's connection.
pub async fn judge_in(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
) -> Result<Option<Judgement>, PromotionError> {
    let Some(subject) = subject(conn, promotion).await? else {
        return Ok(None);
    };
    let evidence = gate::gather(conn, &subject).await?;
    Ok(Some(gate::evaluate(&subject, &evidence, ground.now())))
}

/// Tries to let a promotion through.
pub(super) async fn authorise(
    ground: &Ground,
    id: &PromotionId,
) -> Result<Progress, PromotionError> {
    let (ground_in, id) = (ground.clone(), id.clone());
    ground
        .db
        .write("promotion.authorise", move |conn| {
            Box::pin(async move {
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(Progress::Idle);
                };
                if !promotion.state.is_open() {
                    return Ok(Progress::Idle);
                }
                let Some(subject) = subject(conn, &promotion).await? else {
                    return end(
                        conn,
                        &ground_in,
                        &promotion,
                        "the environment is no longer in the settings",
                    )
                    .await;
                };
                let environment = promotion.environment.as_str();
                if store::is_busy(conn, &promotion.project_id, environment).await? {
                    return Ok(Progress::Idle);
                }
                match gate::pass(conn, &subject, ground_in.now(), &*ground_in.ids).await? {
                    Pass::Passed(passed) => {
                        intend(conn, &ground_in, &promotion, &subject, &passed).await
                    }
                    Pass::Closed(_) => {
                        let moved = store::set_waiting(conn, &id, subject.settings_version).await?;
                        Ok(if moved {
                            Progress::Moved
                        } else {
                            Progress::Idle
                        })
                    }
                }
            })
        })
        .await
}

/// The intent: state, signatures to make, audit entry.
async fn intend(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    subject: &Subject,
    passed: &GatePassed,
) -> Result<Progress, PromotionError> {
    let (at, decision) = (ground.now(), passed.decision());
    let version = subject.settings_version;
    if !store::set_applying(conn, &promotion.id, &decision.id, version, at).await? {
        return Ok(Progress::Idle);
    }
    for (name, target) in &decision.images {
        let Some(image) = subject.release.images.get(name) else {
            continue;
        };
        let payload = Payload {
            repository: target.repository.clone(),
            digest: target.digest,
        }
        .to_bytes();
        let id = ground.ids.uuid().to_string();
        let (image, repository) = (image.image_id.as_str(), target.repository.as_str());
        store::intend_signature(conn, &id, image, repository, &promotion.id, &payload, at).await?;
    }
    let approvals: Vec<String> = passed
        .approvals()
        .iter()
        .map(|a| a.id.to_string())
        .collect();
    let subject_of = format!("promotion:{}", promotion.id);
    let record = Record::new("promotion.authorised", subject_of, &Actor::System)
        .project(&promotion.project_id)
        .with("environment", promotion.environment.as_str())
        .with("release", subject.release.digest.to_string())
        .with("decision", decision.id.as_str())
        .with("evidence", decision.evidence.to_string())
        .with("approvals", approvals);
    audit::append(conn, at, &*ground.ids, record).await?;
    Ok(Progress::Moved)
}

async fn end(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    cause: &str,
) -> Result<Progress, PromotionError> {
    let at = ground.now();
    if !store::set_ended(conn, &promotion.id, "void", cause, at).await? {
        return Ok(Progress::Idle);
    }
    let record = Record::new(
        "promotion.void",
        format!("promotion:{}", promotion.id),
        &Actor::System,
    )
    .project(&promotion.project_id)
    .with("cause", cause);
    audit::append(conn, at, &*ground.ids, record).await?;
    Ok(Progress::Moved)
}
