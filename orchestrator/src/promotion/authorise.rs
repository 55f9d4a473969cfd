//! Asks the gate, and writes the intent in the transaction in which it let through.

use super::advance::{advance, end};
use super::state::{Event, Promotion, PromotionError, PromotionId, PromotionState};
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
                    let event = Event::Voided {
                        cause: "the environment is no longer in the settings".to_owned(),
                        at: ground_in.now().0,
                    };
                    let ended = end(conn, &ground_in, &promotion, event, &Actor::System).await?;
                    return Ok(moved(ended));
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
                        let version = subject.settings_version;
                        let said = promotion.state == PromotionState::Waiting
                            && promotion.settings_version == version;
                        let waits =
                            !said && advance(conn, &promotion, Event::Closed, version).await?;
                        Ok(moved(waits))
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
    let event = Event::Passed {
        decision_id: decision.id.clone(),
        at: at.0,
    };
    if !advance(conn, promotion, event, version).await? {
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

fn moved(moved: bool) -> Progress {
    if moved {
        Progress::Moved
    } else {
        Progress::Idle
    }
}
