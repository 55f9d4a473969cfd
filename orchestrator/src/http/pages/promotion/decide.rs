//! `POST /promotions/{id}`: a person's yes or no.

use super::{PageError, Rejected, found, shown};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::http::pages::frame;
use crate::identity;
use crate::promotion::{self, AnswerOutcome, Asked};
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use contract::digest::Digest;
use evidence::approval::Answer;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

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
        reason: form.reason.clone(),
        evidence,
    };
    let (status, problem) = match freshened(&app, &signed_in, form.password).await? {
        Fresh::WrongPassword => (
            StatusCode::FORBIDDEN,
            "That password is wrong. Nothing was said to this promotion; your reason is kept below.",
        ),
        Fresh::TooManyTries => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong passwords for your name. Wait five minutes; your reason is kept below.",
        ),
        Fresh::Session(session) => {
            let outcome = promotion::answer(&app.ground, &app.promotions, &session, asked).await;
            let outcome = outcome.map_err(PageError::log)?;
            match &outcome {
                AnswerOutcome::Given => {
                    app.bells.promotion.ring();
                    return Ok(Redirect::to(&format!("/promotions/{id}")).into_response());
                }
                AnswerOutcome::NoSuchPromotion => return Err(PageError::NotFound),
                AnswerOutcome::NotOpen
                | AnswerOutcome::NotFresh
                | AnswerOutcome::Reason
                | AnswerOutcome::MayNot(_)
                | AnswerOutcome::AlreadyAnswered
                | AnswerOutcome::Changed => (StatusCode::CONFLICT, words(&outcome)),
            }
        }
    };
    // What they typed is theirs: a refused form gives it back.
    let rejected = Rejected {
        problem,
        reason: form.reason,
    };
    let shown = shown(&app, &signed_in, promotion, project, Some(rejected)).await?;
    Ok(frame::plain(status, &shown))
}

fn words(outcome: &AnswerOutcome) -> &'static str {
    match outcome {
        AnswerOutcome::Given | AnswerOutcome::NoSuchPromotion => "",
        AnswerOutcome::NotOpen => "It waits for no answer any more.",
        AnswerOutcome::NotFresh => {
            "Your sign-in is older than five minutes: give your password with your answer."
        }
        AnswerOutcome::Reason => {
            "A reason is wanted, of at most 2,000 bytes and without control characters. It is kept in the audit log."
        }
        AnswerOutcome::MayNot(_) => {
            "You may not answer this; the reasons stand under your decision."
        }
        AnswerOutcome::AlreadyAnswered => "You have answered already.",
        AnswerOutcome::Changed => {
            "The evidence has changed since you were shown this page. Look again, then answer."
        }
    }
}

/// What a password given with the answer was worth.
enum Fresh {
    /// The session to answer with: as fresh as it is.
    Session(identity::Session),
    WrongPassword,
    TooManyTries,
}

/// A password given with the answer makes the sign-in fresh for this answer.
async fn freshened(
    app: &App,
    signed_in: &SignedIn,
    password: Zeroizing<String>,
) -> Result<Fresh, PageError> {
    let session = signed_in.session.clone();
    if password.is_empty() || session.is_fresh(app.ground.now()) {
        return Ok(Fresh::Session(session));
    }
    let identity::Actor::Person { name, .. } = &session.caller.actor else {
        return Ok(Fresh::Session(session));
    };
    if !app.sign_ins.may_try(name, None, app.ground.now()) {
        return Ok(Fresh::TooManyTries);
    }
    let fresh = identity::freshened(&app.ground, &app.passwords, &session, password).await;
    Ok(match fresh.map_err(PageError::log)? {
        Some(fresh) => Fresh::Session(fresh),
        None => {
            app.sign_ins.failed(name, None, app.ground.now());
            Fresh::WrongPassword
        }
    })
}
