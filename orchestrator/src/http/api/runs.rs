//! `GET /api/v1/projects/{project}/runs?before=<n>`, `GET …/runs/{number}`, `POST …/cancel`, `POST …/again`,
//! `GET …/steps/{step}/log?offset=<n>`.

use crate::app::App;
use crate::http::extract::ApiCaller;
use crate::http::problem::{Code, Problem};
use crate::identity::Permission;
use crate::image;
use crate::project;
use crate::run::{self, Again, Cancelled, Run, RunState};
use crate::step::{self, Step, StepState};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use contract::name::Name;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A run.
#[derive(Serialize)]
pub struct RunAnswer {
    /// Its number in the project.
    pub number: i64,
    /// Its state.
    pub state: &'static str,
    /// Why it ended; `passed` is green.
    pub cause: Option<&'static str>,
    /// What there is to say about the cause.
    pub cause_detail: Option<String>,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit: String,
    /// Which attempt at its trigger.
    pub attempt: i64,
    /// What is wrong with an invalid run's files, rendered for people too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<serde_json::Value>,
    /// Its steps in the order of the file.
    pub steps: Vec<StepAnswer>,
    /// What it built, as we saw it.
    pub images: Vec<ImageAnswer>,
}

/// An image.
#[derive(Serialize)]
pub struct ImageAnswer {
    /// Its name.
    pub name: String,
    /// Where it lies in quarantine.
    pub repository: String,
    /// What it is.
    pub digest: String,
}

/// A step.
#[derive(Serialize)]
pub struct StepAnswer {
    /// Its name.
    pub name: String,
    /// `build`, `analyze`, `scan`, `test`, `run`.
    pub kind: String,
    /// Its state.
    pub state: &'static str,
    /// Why it ended.
    pub cause: Option<&'static str>,
    /// What there is to say about the cause.
    pub cause_detail: Option<String>,
    /// How often it was leased.
    pub attempts: i64,
}

/// Runs on one page.
const PAGE: i64 = 50;

/// From where to list.
#[derive(Deserialize)]
pub struct Before {
    /// Only runs with a lower number.
    before: Option<i64>,
}

/// A run in a list.
#[derive(Serialize)]
pub struct ListedRun {
    /// Its number in the project.
    pub number: i64,
    /// Its state.
    pub state: &'static str,
    /// Why it ended; `passed` is green.
    pub cause: Option<&'static str>,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit: String,
}

/// The runs of a project, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(project): Path<String>,
    Query(Before { before }): Query<Before>,
) -> Result<Json<Vec<ListedRun>>, Problem> {
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let found = project::by_name(&mut conn, &project)
        .await
        .map_err(failed)?;
    let found = found.ok_or_else(Problem::not_found)?;
    caller.must(Permission::See, found.id.as_str())?;
    let before = before.unwrap_or(i64::MAX);
    let runs = run::recent(&mut conn, found.id.as_str(), before, PAGE)
        .await
        .map_err(failed)?;
    let listed = |run: Run| ListedRun {
        number: run.number,
        state: run.state.word(),
        cause: run_cause(&run.state).map(run::Cause::word),
        ref_name: run.ref_name,
        commit: run.commit.to_string(),
    };
    Ok(Json(runs.into_iter().map(listed).collect()))
}

/// A run with its steps.
pub async fn show(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((project, number)): Path<(String, i64)>,
) -> Result<Json<RunAnswer>, Problem> {
    let found = find(&app, &caller, &project, number, Permission::See).await?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let steps = step::list(&mut conn, &found.id).await.map_err(failed)?;
    let complaints = run::complaints(&mut conn, &found.id)
        .await
        .map_err(failed)?;
    let images = image::images_of_run(&mut conn, found.id.as_str())
        .await
        .map_err(failed)?;
    let (state, cause) = (found.state.word(), run_cause(&found.state));
    Ok(Json(RunAnswer {
        number: found.number,
        state,
        cause: cause.map(run::Cause::word),
        cause_detail: cause.and_then(run::Cause::detail).map(str::to_owned),
        ref_name: found.ref_name.clone(),
        commit: found.commit.to_string(),
        attempt: found.attempt,
        complaints,
        steps: steps.iter().map(step_answer).collect(),
        images: images
            .into_iter()
            .map(|image| ImageAnswer {
                name: image.name.into(),
                repository: image.repository.into(),
                digest: image.digest.to_string(),
            })
            .collect(),
    }))
}

/// Asks for the run's end.
pub async fn cancel(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((project, number)): Path<(String, i64)>,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let found = find(&app, &caller, &project, number, Permission::Run).await?;
    let outcome = run::cancel(&app.ground, &found.id, &caller.0.actor).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        Cancelled::Asked | Cancelled::AskedBefore => {
            app.bells.step.ring();
            Ok((StatusCode::ACCEPTED, Json(serde_json::json!({}))))
        }
        Cancelled::Over => Err(Problem::new(Code::RunOver, "the run has ended already")),
        Cancelled::NoSuchRun => Err(Problem::not_found()),
    }
}

/// Asks for a new run of the same trigger, by the settings of then.
pub async fn again(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((project, number)): Path<(String, i64)>,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let found = find(&app, &caller, &project, number, Permission::Run).await?;
    let outcome = run::again(&app.ground, &found.id, &caller.0.actor).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        Again::Asked | Again::AskedBefore => {
            app.bells.run.ring();
            Ok((StatusCode::ACCEPTED, Json(serde_json::json!({}))))
        }
        Again::StillOpen => Err(Problem::new(
            Code::RunOpen,
            "the run has not ended: cancel it first",
        )),
        Again::NoSuchRun => Err(Problem::not_found()),
    }
}

/// From where to read.
#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    offset: i64,
}

/// A part of a step's log, as bytes; `Sallyport-Log-Next` and `Sallyport-Log-End` say where it goes
/// on and how much there is.
pub async fn log(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((project, number, name)): Path<(String, i64, String)>,
    Query(From { offset }): Query<From>,
) -> Result<Response, Problem> {
    let found = find(&app, &caller, &project, number, Permission::See).await?;
    let name = Name::parse(&name).map_err(|_| Problem::not_found())?;
    let step = {
        let mut conn = app.ground.db.reader().await.map_err(failed)?;
        let step = step::by_name(&mut conn, &found.id, &name)
            .await
            .map_err(failed)?;
        step.ok_or_else(Problem::not_found)?
    };
    let slice = app
        .steps
        .logs
        .read(&app.ground, &step.id, step.fence, offset)
        .await;
    let slice = slice.map_err(|error| Problem::internal(&error))?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::HeaderName::from_static("sallyport-log-next"),
            slice.next_offset.to_string(),
        ),
        (
            header::HeaderName::from_static("sallyport-log-end"),
            slice.end.to_string(),
        ),
    ];
    Ok((headers, slice.bytes).into_response())
}

async fn find(
    app: &App,
    caller: &ApiCaller,
    project: &str,
    number: i64,
    permission: Permission,
) -> Result<Run, Problem> {
    let project = Name::parse(project).map_err(|_| Problem::not_found())?;
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let found = run::by_number(&mut conn, &project, number)
        .await
        .map_err(failed)?;
    let found = found.ok_or_else(Problem::not_found)?;
    caller.must(permission, &found.project_id)?;
    Ok(found)
}

fn step_answer(step: &Step) -> StepAnswer {
    let cause = match &step.state {
        StepState::Finished { cause, .. } | StepState::Skipped { cause, .. } => Some(cause),
        StepState::Blocked
        | StepState::Ready { .. }
        | StepState::Leased(_)
        | StepState::Reported { .. } => None,
    };
    StepAnswer {
        name: step.name.to_string(),
        kind: step.kind.clone(),
        state: step.state.word(),
        cause: cause.map(run::Cause::word),
        cause_detail: cause.and_then(run::Cause::detail).map(str::to_owned),
        attempts: step.attempts,
    }
}

fn run_cause(state: &RunState) -> Option<&run::Cause> {
    match state {
        RunState::Finished { cause, .. } | RunState::Refused { cause, .. } => Some(cause),
        RunState::Waiting | RunState::Running { .. } | RunState::Invalid { .. } => None,
    }
}

fn failed(error: crate::db::Error) -> Problem {
    Problem::internal(&error)
}
