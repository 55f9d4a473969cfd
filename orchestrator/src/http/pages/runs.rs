//! `GET /projects/{project}` and `GET /projects/{project}/runs`: the newest runs.

use super::frame::{now, visible_project};
use super::{Copied, Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::run::{self, Run};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

/// Runs of one page.
const RUNS_MAX: i64 = 50;

struct Row {
    number: i64,
    ref_name: String,
    commit: Copied,
    status: Status,
    created: When,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Shown {
    frame: Frame,
    project: String,
    rows: Vec<Row>,
}

/// A project's first page are its runs.
pub async fn project(Path(name): Path<String>) -> Response {
    let is_name = contract::name::Name::parse(&name).is_ok();
    let to = if is_name {
        format!("/projects/{name}/runs")
    } else {
        "/".to_owned()
    };
    Redirect::to(&to).into_response()
}

/// The list.
pub async fn runs(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let recent = run::recent(&mut conn, project.id.as_str(), i64::MAX, RUNS_MAX)
        .await
        .map_err(PageError::log)?;
    let row = |run: Run| Row {
        number: run.number,
        ref_name: short_ref(&run.ref_name).to_owned(),
        commit: Copied::new("commit", run.commit.to_string()),
        status: words::run(&run.state),
        created: When::new(run.created_at, now),
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, "Runs").of_project(&project),
        project: name,
        rows: recent.into_iter().map(row).collect(),
    }))
}

/// A branch or tag as people call it.
pub(super) fn short_ref(name: &str) -> &str {
    name.strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        .unwrap_or(name)
}
