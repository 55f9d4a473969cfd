//! A person's yes or no, to exactly what they were shown.

use super::advance::end;
use super::authorise::judge_in;
use super::reason;
use super::state::{Event, Hands, Promotion, PromotionError, PromotionId};
use super::store;
use super::subject::subject;
use crate::approval::{self, Answered, GiveOutcome};
use crate::clock::At;
use crate::db::Conn;

use crate::gate::{self, Subject};
use crate::ground::Ground;
use crate::id::random_hex;
use crate::identity::{Actor, PersonId, Role, Session};
use contract::digest::Digest;
use contract::name::Name;
use evidence::approval::{Answer, Approval as Statement, VERSION};
use evidence::decision::Target;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a person says, to what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The promotion.
    pub promotion: PromotionId,
    /// Yes or no.
    pub answer: Answer,
    /// Why.
    pub reason: String,
    /// SHA-256 of the evidence that they were shown.
    pub evidence: Digest,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// It stands.
    Given,
    /// There is no such promotion, or they may not see it.
    NoSuchPromotion,
    /// It waits no more.
    NotOpen,
    /// The password was not given within the last minutes.
    NotFresh,
    /// A reason is wanted, in plain text, and not a book.
    Reason,
    /// They may not: in words.
    MayNot(Vec<&'static str>),
    /// They have answered already.
    AlreadyAnswered,
    /// What they were shown has changed; they should look again.
    Changed,
}

/// Stores a person's answer, given in a fresh sign-in.
pub async fn answer(
    ground: &Ground,
    hands: &Hands,
    session: &Session,
    asked: Asked,
) -> Result<AnswerOutcome, PromotionError> {
    let Actor::Person { id: person, name } = &session.caller.actor else {
        return Ok(AnswerOutcome::MayNot(vec!["are not a person"]));
    };
    if !session.is_fresh(ground.now()) {
        return Ok(AnswerOutcome::NotFresh);
    }
    let Some(reason) = reason::parse(&asked.reason) else {
        return Ok(AnswerOutcome::Reason);
    };
    let asked = Asked { reason, ..asked };
    let who = Who {
        person: person.clone(),
        name: name.clone(),
        instance: hands.instance_id.clone(),
    };
    let (ground_in, caller) = (ground.clone(), session.caller.clone());
    ground
        .db
        .write("promotion.answer", move |conn| {
            Box::pin(async move {
                let Some(promotion) = store::by_id(conn, &asked.promotion).await? else {
                    return Ok(AnswerOutcome::NoSuchPromotion);
                };
                if !caller.may(crate::identity::Permission::See, &promotion.project_id) {
                    return Ok(AnswerOutcome::NoSuchPromotion);
                }
                answer_in(conn, &ground_in, &who, &promotion, asked).await
            })
        })
        .await
}

#[derive(Clone)]
struct Who {
    person: PersonId,
    name: String,
    instance: String,
}

async fn answer_in(
    conn: &mut Conn,
    ground: &Ground,
    who: &Who,
    promotion: &Promotion,
    asked: Asked,
) -> Result<AnswerOutcome, PromotionError> {
    if !promotion.state.is_open() {
        return Ok(AnswerOutcome::NotOpen);
    }
    let (judgement, subject) = (
        judge_in(conn, ground, promotion).await?,
        subject(conn, promotion).await?,
    );
    let (Some(judgement), Some(subject)) = (judgement, subject) else {
        return Ok(AnswerOutcome::NotOpen);
    };
    match judgement.seats.exclusions(&who.person) {
        None => {
            return Ok(AnswerOutcome::MayNot(vec![
                "do not hold the role that this gate asks",
            ]));
        }
        Some([]) => {}
        Some(some) => {
            return Ok(AnswerOutcome::MayNot(
                some.iter().map(|e| e.words()).collect(),
            ));
        }
    }
    if judgement.evidence != asked.evidence {
        return Ok(AnswerOutcome::Changed);
    }
    let at = ground.now();
    let images = gate::targets(&subject)?;
    let expires_at = at.plus(Duration::from_millis(judgement.seats.expires_ms));
    let times = (at, expires_at);
    let statement = statement(ground, who, promotion, &subject, &asked, images, times);
    let rejected = asked.answer == Answer::Reject;
    let cause = format!("rejected by {}: {}", who.name, asked.reason);
    let answered = Answered {
        person: who.person.clone(),
        name: who.name.clone(),
        project_id: promotion.project_id.clone(),
        statement,
    };
    match approval::give(conn, at, &*ground.ids, &answered).await? {
        GiveOutcome::AlreadyAnswered => return Ok(AnswerOutcome::AlreadyAnswered),
        GiveOutcome::Given(_) => {}
    }
    if rejected {
        let actor = Actor::Person {
            id: who.person.clone(),
            name: who.name.clone(),
        };
        let event = Event::Voided { cause, at: at.0 };
        end(conn, ground, promotion, event, &actor).await?;
    }
    Ok(AnswerOutcome::Given)
}

fn statement(
    ground: &Ground,
    who: &Who,
    promotion: &Promotion,
    subject: &Subject,
    asked: &Asked,
    images: BTreeMap<Name, Target>,
    (given_at, expires_at): (At, At),
) -> Statement {
    Statement {
        version: VERSION,
        instance: who.instance.clone(),
        project: subject.settings.project.to_string(),
        promotion: promotion.id.to_string(),
        environment: promotion.environment.to_string(),
        release: promotion.release_id.to_string(),
        release_digest: subject.release.digest,
        images,
        evidence: asked.evidence,
        settings_version: subject.settings_version,
        answer: asked.answer,
        reason: asked.reason.clone(),
        approver: who.person.to_string(),
        role: Role::ReleaseManager.as_str().to_owned(),
        nonce: random_hex(&*ground.ids, 16),
        given_at: given_at.0,
        expires_at: expires_at.0,
    }
}
