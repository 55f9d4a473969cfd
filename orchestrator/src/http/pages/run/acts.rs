//! `POST …/runs/{number}/again` and `…/cancel`: what a person may do with a run.

use super::super::frame::visible_project;
use super::super::sign_in::Csrf;
use super::PageError;
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::http::problem::Code;
use crate::identity::Permission;
use crate::run::{self, Again, Cancelled, Run};
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

/// Asks for the same trigger's run again; to the list in which the new one appears.
pub async fn again(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, number)): Path<(String, i64)>,
    Form(form): Form<Csrf>,
) -> Result<Response, PageError> {
    let found = permitted(&app, &signed_in, &name, number, &form).await?;
    let actor = &signed_in.session.caller.actor;
    let outcome = run::again(&app.ground, &found.id, actor).await;
    match outcome.map_err(PageError::log)? {
        Again::Asked | Again::AskedBefore => {
            app.bells.run.ring();
            Ok(Redirect::to(&format!("/projects/{name}/runs")).into_response())
        }
        Again::StillOpen => Err(PageError::Conflict(
            Code::RunOpen,
            "This run has not ended. Cancel it first, then run it again.".to_owned(),
        )),
        Again::NoSuchRun => Err(PageError::NotFound),
    }
}

/// Asks for a run's end; back to it.
pub async fn cancel(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, number)): Path<(String, i64)>,
    Form(form): Form<Csrf>,
) -> Result<Response, PageError> {
    let found = permitted(&app, &signed_in, &name, number, &form).await?;
    let actor = &signed_in.session.caller.actor;
    let outcome = run::cancel(&app.ground, &found.id, actor).await;
    match outcome.map_err(PageError::log)? {
        Cancelled::Asked | Cancelled::AskedBefore => {
            app.bells.step.ring();
            Ok(Redirect::to(&format!("/projects/{name}/runs/{number}")).into_response())
        }
        Cancelled::Over => Err(PageError::Conflict(
            Code::RunOver,
            "This run had ended already. Nothing was changed.".to_owned(),
        )),
        Cancelled::NoSuchRun => Err(PageError::NotFound),
    }
}

async fn permitted(
    app: &App,
    signed_in: &SignedIn,
    name: &str,
    number: i64,
    form: &Csrf,
) -> Result<Run, PageError> {
    if !signed_in.is_own_form(form.csrf()) {
        return Err(PageError::foreign_form());
    }
    let project = visible_project(app, signed_in, name).await?;
    let caller = &signed_in.session.caller;
    if !caller.may(Permission::Run, project.id.as_str()) {
        return Err(PageError::NotPermitted(
            "Developers and release managers of this project run again and cancel.".to_owned(),
        ));
    }
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = run::by_number(&mut conn, &project.name, number).await;
    found.map_err(PageError::log)?.ok_or(PageError::NotFound)
}
