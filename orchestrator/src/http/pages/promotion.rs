//! `GET /promotions/{id}`: the decision first, its proof below. `POST` answers it.

use super::frame::now;
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::{Condition, ConditionState, Judgement, Requester};
use crate::http::extract::SignedIn;
use crate::identity::{self, PersonId};
use crate::image::Release;
use crate::project::Project;
use crate::promotion::{self, AnswerOutcome, Asked, Promotion, PromotionId, PromotionState};
use crate::{gate, image, project, run};
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use contract::digest::Digest;
use evidence::approval::Answer;
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A condition as a row.
struct Row {
    condition: Condition,
    status: Status,
    evidence: Option<When>,
}

/// Somebody at a seat, or near it.
struct Seat {
    name: String,
    status: Status,
    detail: String,
}

#[derive(Template)]
#[template(path = "promotion.html")]
struct Shown {
    frame: Frame,
    project: String,
    promotion: Promotion,
    status: Status,
    requester: String,
    requested: When,
    release: Release,
    run_number: i64,
    digests: Vec<(String, Copied)>,
    rows: Vec<Row>,
    met: usize,
    judged: Option<When>,
    evidence: String,
    required: u32,
    given: usize,
    seats: Vec<Seat>,
    mine: Mine,
    cause: Option<String>,
    problem: Option<&'static str>,
}

/// What this reader may do.
enum Mine {
    /// Answer it.
    May,
    /// Not: why, in words.
    MayNot(String),
    /// It waits for nobody.
    Closed,
}

impl Mine {
    fn may(&self) -> bool {
        matches!(self, Self::May)
    }

    fn why_not(&self) -> Option<&str> {
        match self {
            Self::MayNot(why) => Some(why),
            Self::May | Self::Closed => None,
        }
    }
}

/// Where a promotion stands.
pub(super) fn status(state: &PromotionState) -> Status {
    match state {
        PromotionState::Requested => Status::new(Look::Idle, "queue", "Requested"),
        PromotionState::Waiting => Status::new(Look::Wait, "unmet", "Waiting"),
        PromotionState::Applying { .. } => Status::new(Look::Work, "work", "Applying"),
        PromotionState::Applied { .. } => Status::new(Look::Pass, "pass", "Applied"),
        PromotionState::Failed { .. } => Status::new(Look::Fail, "fail", "Failed"),
        PromotionState::Void { .. } => Status::new(Look::Idle, "refuse", "Void"),
        PromotionState::Superseded { .. } => Status::new(Look::Idle, "skip", "Superseded"),
    }
}

fn condition_status(state: ConditionState) -> Status {
    match state {
        ConditionState::Met => Status::new(Look::Pass, "pass", "Met"),
        ConditionState::Unmet => Status::new(Look::Wait, "unmet", "Unmet"),
        ConditionState::Waiting => Status::new(Look::Wait, "clock", "Unmet, in time"),
        ConditionState::Failed => Status::new(Look::Fail, "fail", "Failed"),
    }
}

/// The page.
pub async fn promotion(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (promotion, project) = found(&app, &signed_in, &id).await?;
    Ok(page(
        &shown(&app, &signed_in, promotion, project, None).await?,
    ))
}

async fn found(
    app: &App,
    signed_in: &SignedIn,
    id: &str,
) -> Result<(Promotion, Project), PageError> {
    let id = PromotionId::parse(id).map_err(|_| PageError::NotFound)?;
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = promotion::by_id(&mut conn, &id)
        .await
        .map_err(PageError::log)?;
    let found = found
        .filter(|p| signed_in.may_see(&p.project_id))
        .ok_or(PageError::NotFound)?;
    let project = project::by_id(&mut conn, &found.project_id)
        .await
        .map_err(PageError::log)?;
    Ok((found, project.ok_or(PageError::NotFound)?))
}

async fn shown(
    app: &App,
    signed_in: &SignedIn,
    promotion: Promotion,
    project: Project,
    problem: Option<&'static str>,
) -> Result<Shown, PageError> {
    let now = now(app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let release = image::release(&mut conn, &promotion.release_id)
        .await
        .map_err(PageError::log)?;
    let release = release.ok_or(PageError::NotFound)?;
    let run = run::RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(&mut conn, &run).await.map_err(PageError::log)?;
    let (conditions, judgement) = conditions(&mut conn, app, &promotion).await?;
    let seats = match &judgement {
        Some(judgement) => seats(judgement),
        None => given(&mut conn, &promotion).await?,
    };
    let requester = requester(&mut conn, &promotion.requester).await?;
    let title = format!(
        "Promote {} run {} to {}",
        project.name,
        run.as_ref().map_or(0, |r| r.number),
        promotion.environment
    );
    let digest = |(name, image): (&contract::name::Name, &image::ReleaseImage)| {
        (
            name.to_string(),
            Copied::new("digest", image.digest.to_string()),
        )
    };
    Ok(Shown {
        frame: Frame::new(app, signed_in, Tab::Approvals, title).of_project(&project),
        project: project.name.to_string(),
        status: status(&promotion.state),
        requester,
        requested: When::micros(promotion.requested_at, now),
        run_number: run.map_or(0, |run| run.number),
        digests: release.images.iter().map(digest).collect(),
        met: conditions
            .iter()
            .filter(|condition| condition.is_met())
            .count(),
        rows: conditions
            .into_iter()
            .map(|condition| row(condition, now))
            .collect(),
        judged: judgement
            .as_ref()
            .map(|judgement| When::new(judgement.judged_at, now)),
        evidence: judgement
            .as_ref()
            .map(|j| j.evidence.to_string())
            .unwrap_or_default(),
        required: judgement
            .as_ref()
            .map_or(0, |judgement| judgement.approvals_required),
        given: judgement
            .as_ref()
            .map_or(seats.len(), |judgement| judgement.counted.len()),
        mine: mine(signed_in, judgement.as_ref()),
        seats,
        cause: cause(&promotion),
        release,
        promotion,
        problem,
    })
}

/// Who asked for it, in words.
async fn requester(conn: &mut Conn, requester: &Requester) -> Result<String, PageError> {
    match requester {
        Requester::Person(person) => {
            let name = identity::person_name(conn, person.as_str()).await;
            Ok(name.map_err(PageError::log)?.unwrap_or_default())
        }
        Requester::Rule => Ok("the settings' rule".to_owned()),
        Requester::Unmatched(who) => Ok(format!("{who}, who maps to nobody here")),
    }
}

fn row(condition: Condition, now: At) -> Row {
    Row {
        status: condition_status(condition.state),
        evidence: condition.evidence_at.map(|at| When::micros(at, now)),
        condition,
    }
}

fn cause(promotion: &Promotion) -> Option<String> {
    match &promotion.state {
        PromotionState::Failed { cause, .. }
        | PromotionState::Void { cause, .. }
        | PromotionState::Superseded { cause, .. } => Some(cause.clone()),
        PromotionState::Applying { .. } => promotion.progress.clone(),
        PromotionState::Requested | PromotionState::Waiting | PromotionState::Applied { .. } => {
            None
        }
    }
}

/// Conditions of now, or of the decision that let it through.
async fn conditions(
    conn: &mut Conn,
    app: &App,
    promotion: &Promotion,
) -> Result<(Vec<Condition>, Option<Judgement>), PageError> {
    match &promotion.state {
        PromotionState::Requested | PromotionState::Waiting => {
            let judged = promotion::judge_in(conn, &app.ground, promotion).await;
            let judged = judged.map_err(PageError::log)?;
            Ok((
                judged
                    .as_ref()
                    .map(|j| j.conditions.clone())
                    .unwrap_or_default(),
                judged,
            ))
        }
        PromotionState::Applying { decision_id, .. }
        | PromotionState::Applied { decision_id, .. } => {
            let then = gate::conditions(conn, decision_id)
                .await
                .map_err(PageError::log)?;
            Ok((then.unwrap_or_default(), None))
        }
        PromotionState::Failed { .. }
        | PromotionState::Void { .. }
        | PromotionState::Superseded { .. } => Ok((Vec::new(), None)),
    }
}

/// Who has approved, who still may, who may not and why.
fn seats(judgement: &Judgement) -> Vec<Seat> {
    let candidates = &judgement.seats.candidates;
    let seat = |candidate: &gate::Candidate| {
        let given = judgement
            .counted
            .iter()
            .find(|given| given.person == candidate.person);
        let (status, detail) = match (given, candidate.exclusions.as_slice()) {
            (Some(given), _) => {
                let detail = format!("“{}”", given.statement.reason);
                (Status::new(Look::Pass, "pass", "Approved"), detail)
            }
            (None, []) => (
                Status::new(Look::Wait, "unmet", "May approve"),
                String::new(),
            ),
            (None, some) => {
                let words: Vec<&str> = some.iter().map(|exclusion| exclusion.words()).collect();
                let detail = format!("They {}", words.join(" and "));
                (Status::new(Look::Fail, "refuse", "May not"), detail)
            }
        };
        Seat {
            name: candidate.display_name.clone(),
            status,
            detail,
        }
    };
    candidates.iter().map(seat).collect()
}

/// Once decided: who gave their answer.
async fn given(conn: &mut Conn, promotion: &Promotion) -> Result<Vec<Seat>, PageError> {
    let standing = crate::approval::standing(conn, promotion.id.as_str()).await;
    let mut seats = Vec::new();
    for approval in standing.map_err(PageError::log)? {
        let name = identity::person_name(conn, approval.person.as_str())
            .await
            .map_err(PageError::log)?;
        let status = match approval.statement.answer {
            Answer::Approve => Status::new(Look::Pass, "pass", "Approved"),
            Answer::Reject => Status::new(Look::Fail, "fail", "Rejected"),
        };
        let detail = format!("“{}”", approval.statement.reason);
        seats.push(Seat {
            name: name.unwrap_or_default(),
            status,
            detail,
        });
    }
    Ok(seats)
}

fn mine(signed_in: &SignedIn, judgement: Option<&Judgement>) -> Mine {
    let Some(judgement) = judgement.filter(|j| j.approvals_required > 0) else {
        return Mine::Closed;
    };
    let Some(person) = signed_in.session.caller.actor.person() else {
        return Mine::Closed;
    };
    let answered = |person: &PersonId| {
        judgement
            .counted
            .iter()
            .any(|given| given.person == *person)
    };
    match judgement.seats.exclusions(person) {
        None => Mine::MayNot("You do not hold the role that this gate asks for.".to_owned()),
        Some([]) if answered(person) => Mine::MayNot("You have approved it.".to_owned()),
        Some([]) => Mine::May,
        Some(some) => {
            let words: Vec<&str> = some.iter().map(|exclusion| exclusion.words()).collect();
            Mine::MayNot(format!(
                "Of those who hold the role, you {}.",
                words.join(" and ")
            ))
        }
    }
}

/// An answer as the form sends it. No `Debug`: it may hold a password.
#[derive(Deserialize)]
pub struct AnswerForm {
    csrf: String,
    decision: String,
    reason: String,
    evidence: String,
    /// Given again when the sign-in is not fresh any more.
    #[serde(default)]
    password: Zeroizing<String>,
}

/// Answers.
pub async fn answer(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
    Form(form): Form<AnswerForm>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(&form.csrf) {
        return Err(PageError::foreign_form());
    }
    let (promotion, project) = found(&app, &signed_in, &id).await?;
    let answer = match form.decision.as_str() {
        "approve" => Answer::Approve,
        "reject" => Answer::Reject,
        _ => return Err(PageError::NotFound),
    };
    let Ok(evidence) = Digest::parse(&form.evidence) else {
        return Err(PageError::NotFound);
    };
    let asked = Asked {
        promotion: promotion.id.clone(),
        answer,
        reason: form.reason,
        evidence,
    };
    let session = freshened(&app, &signed_in, form.password).await?;
    let outcome = promotion::answer(&app.ground, &app.promotions, &session, asked).await;
    let problem = match outcome.map_err(PageError::log)? {
        AnswerOutcome::Given => {
            app.bells.promotion.ring();
            return Ok(Redirect::to(&format!("/promotions/{id}")).into_response());
        }
        AnswerOutcome::NoSuchPromotion => return Err(PageError::NotFound),
        AnswerOutcome::NotOpen => "It waits for no answer any more.",
        AnswerOutcome::NotFresh => {
            "Your sign-in is older than five minutes: give your password with your answer."
        }
        AnswerOutcome::Reason => {
            "A reason is wanted, of at most 2,000 bytes. It is kept in the audit log."
        }
        AnswerOutcome::MayNot(_) => "You may not answer this; the reason stands beside your name.",
        AnswerOutcome::AlreadyAnswered => "You have answered already.",
        AnswerOutcome::Changed => {
            "The evidence has changed since you were shown this page. Look again, then answer."
        }
    };
    let shown = shown(&app, &signed_in, promotion, project, Some(problem)).await?;
    Ok(super::frame::plain(http::StatusCode::CONFLICT, &shown))
}

/// A password given with the answer makes the sign-in fresh for this answer.
async fn freshened(
    app: &App,
    signed_in: &SignedIn,
    password: Zeroizing<String>,
) -> Result<identity::Session, PageError> {
    let session = signed_in.session.clone();
    if password.is_empty() || session.is_fresh(app.ground.now()) {
        return Ok(session);
    }
    let identity::Actor::Person { name, .. } = &session.caller.actor else {
        return Ok(session);
    };
    if !app.sign_ins.may_try(name, None, app.ground.now()) {
        return Ok(session);
    }
    let outcome = identity::sign_in(&app.ground, &app.passwords, name, password).await;
    match outcome.map_err(PageError::log)? {
        identity::SignInOutcome::SignedIn(cookie) => {
            let found = identity::of_cookie(&app.ground, &cookie)
                .await
                .map_err(PageError::log)?;
            // It was made for this answer alone.
            identity::sign_out(&app.ground, &cookie)
                .await
                .map_err(PageError::log)?;
            Ok(found.unwrap_or(session))
        }
        identity::SignInOutcome::Refused => {
            app.sign_ins.failed(name, None, app.ground.now());
            Ok(session)
        }
    }
}
