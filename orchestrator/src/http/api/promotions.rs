//! `POST /api/v1/projects/{project}/environments/{environment}/promotions`,
//! `GET /api/v1/promotions/{id}`, `POST /api/v1/promotions/{id}/withdraw`, `POST /api/v1/promotions/{id}/give-up`,
//! `GET /api/v1/projects/{project}/promotions`.
//!
//! Approving is not here: an approval is given by a person in a fresh sign-in, on the page.

use crate::app::App;
use crate::gate::Condition;
use crate::http::extract::ApiCaller;
use crate::http::problem::{Code, Problem};
use crate::identity::Permission;
use crate::project::{self, Project};
use crate::promotion::{
    self, GiveUpOutcome, Promotion, PromotionId, PromotionState, RequestOutcome, WithdrawOutcome,
};
use crate::{gate, image, run};
use axum::Json;
use axum::extract::{Path, State};
use contract::name::Name;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Promotions of one list.
const LIST_MAX: i64 = 100;

/// What is to enter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The number of the run whose release it is.
    run: i64,
}

/// Why it is given up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveUp {
    /// In words.
    reason: String,
}

/// A promotion.
#[derive(Serialize)]
pub struct PromotionAnswer {
    /// Its id.
    pub id: String,
    /// Its number in the project.
    pub number: i64,
    /// The environment.
    pub environment: String,
    /// The release's id.
    pub release: String,
    /// The state's word.
    pub state: &'static str,
    /// Why it ended, when it did so without being applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What of applying was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Every condition of its gate, unmet first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

fn answer(promotion: &Promotion, conditions: Vec<Condition>) -> PromotionAnswer {
    let cause = match &promotion.state {
        PromotionState::Failed { cause, .. }
        | PromotionState::Void { cause, .. }
        | PromotionState::Superseded { cause, .. } => Some(cause.clone()),
        PromotionState::Requested
        | PromotionState::Waiting
        | PromotionState::Applying { .. }
        | PromotionState::Applied { .. } => None,
    };
    PromotionAnswer {
        id: promotion.id.to_string(),
        number: promotion.number,
        environment: promotion.environment.to_string(),
        release: promotion.release_id.to_string(),
        state: promotion.state.as_str(),
        cause,
        progress: promotion.progress.clone(),
        conditions,
    }
}

async fn visible(
    app: &App,
    caller: &ApiCaller,
    name: &str,
    permission: Permission,
) -> Result<Project, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let found = project::by_name(&mut conn, name).await.map_err(failed)?;
    let found = found.ok_or_else(Problem::not_found)?;
    caller.must(permission, found.id.as_str())?;
    Ok(found)
}

async fn find(
    app: &App,
    caller: &ApiCaller,
    id: &str,
    permission: Permission,
) -> Result<Promotion, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let id = PromotionId::parse(id).map_err(|_| Problem::not_found())?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let found = promotion::by_id(&mut conn, &id).await.map_err(failed)?;
    let found = found.ok_or_else(Problem::not_found)?;
    caller.must(permission, &found.project_id)?;
    Ok(found)
}

/// Requests a promotion.
pub async fn request(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((project, environment)): Path<(String, String)>,
    Json(body): Json<Request>,
) -> Result<(StatusCode, Json<PromotionAnswer>), Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let found = visible(&app, &caller, &project, Permission::Request).await?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let name = Name::parse(&project).map_err(|_| Problem::not_found())?;
    let run = run::by_number(&mut conn, &name, body.run)
        .await
        .map_err(failed)?;
    let run = run.ok_or_else(Problem::not_found)?;
    let release = image::release_of_run(&mut conn, run.id.as_str())
        .await
        .map_err(failed)?;
    drop(conn);
    let refuse = |code, detail: &str| Err(Problem::new(code, detail));
    let Some(release) = release else {
        return refuse(
            Code::NoRelease,
            "this run has no release: it did not succeed, or built no image",
        );
    };
    let (id, actor) = (found.id.as_str(), &caller.0.actor);
    let outcome = promotion::request(&app.ground, actor, id, &environment, &release.id).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        RequestOutcome::Requested(id) => {
            app.bells.promotion.ring();
            let mut conn = app.ground.db.reader().await.map_err(failed)?;
            let made = promotion::by_id(&mut conn, &id).await.map_err(failed)?;
            let made = made.ok_or_else(Problem::not_found)?;
            Ok((StatusCode::CREATED, Json(answer(&made, Vec::new()))))
        }
        RequestOutcome::AlreadyOpen(id) => refuse(
            Code::AlreadyRequested,
            &format!("promotion {id} waits for the same"),
        ),
        RequestOutcome::AlreadyThere => refuse(Code::AlreadyThere, "this release is there now"),
        RequestOutcome::NoSuchEnvironment | RequestOutcome::NoSuchRelease => {
            Err(Problem::not_found())
        }
    }
}

/// One promotion with its gate's conditions: of now, or of the decision that let it through.
pub async fn show(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(id): Path<String>,
) -> Result<Json<PromotionAnswer>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let found = find(&app, &caller, &id, Permission::See).await?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let conditions = match found.state.decision_id() {
        Some(id) => gate::conditions(&mut conn, id).await.map_err(failed)?,
        None if found.state.is_open() => {
            let judged = promotion::judge_in(&mut conn, &app.ground, &found).await;
            let judged = judged.map_err(|error| Problem::internal(&error))?;
            judged.map(|judgement| judgement.conditions)
        }
        None => None,
    };
    Ok(Json(answer(&found, conditions.unwrap_or_default())))
}

/// Takes back what the caller asked for; the promotion as it is then.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(id): Path<String>,
) -> Result<Json<PromotionAnswer>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let id = PromotionId::parse(&id).map_err(|_| Problem::not_found())?;
    let outcome = promotion::withdraw(&app.ground, &caller.0, &id).await;
    let refuse = |code, detail: &str| Err(Problem::new(code, detail));
    match outcome.map_err(|error| Problem::internal(&error))? {
        WithdrawOutcome::Withdrawn => {
            app.bells.promotion.ring();
            let mut conn = app.ground.db.reader().await.map_err(failed)?;
            let found = promotion::by_id(&mut conn, &id).await.map_err(failed)?;
            let found = found.ok_or_else(Problem::not_found)?;
            Ok(Json(answer(&found, Vec::new())))
        }
        WithdrawOutcome::NoSuchPromotion => Err(Problem::not_found()),
        WithdrawOutcome::NotTheirs => refuse(
            Code::NotPermitted,
            "whoever requested a promotion may withdraw it, and nobody else",
        ),
        WithdrawOutcome::NotOpen => refuse(
            Code::PromotionNotOpen,
            "this promotion waits no more: it is being applied, or has ended",
        ),
    }
}

/// Gives up a promotion that is applied and does not come to its end: it ends within minutes, with the
/// tags that stand.
pub async fn give_up(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(id): Path<String>,
    Json(body): Json<GiveUp>,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let found = find(&app, &caller, &id, Permission::Administer).await?;
    let (actor, reason) = (&caller.0.actor, &body.reason);
    let outcome = promotion::give_up(&app.ground, actor, &found.id, reason).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        GiveUpOutcome::Asked | GiveUpOutcome::AskedBefore => {
            app.bells.promotion.ring();
            Ok((StatusCode::ACCEPTED, Json(serde_json::json!({}))))
        }
        GiveUpOutcome::NotApplying => Err(Problem::new(
            Code::NotApplying,
            "only a promotion that is being applied can be given up",
        )),
        GiveUpOutcome::Reason => Err(Problem::new(
            Code::BadDocument,
            "a `reason` is wanted, of at most 2,000 bytes and without control characters",
        )),
        GiveUpOutcome::NoSuchPromotion => Err(Problem::not_found()),
    }
}

/// A project's promotions, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(project): Path<String>,
) -> Result<Json<Vec<PromotionAnswer>>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let found = visible(&app, &caller, &project, Permission::See).await?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let all = promotion::of_project(&mut conn, found.id.as_str(), (i64::MAX, ""), LIST_MAX)
        .await
        .map_err(failed)?;
    Ok(Json(
        all.iter()
            .map(|promotion| answer(promotion, Vec::new()))
            .collect(),
    ))
}
