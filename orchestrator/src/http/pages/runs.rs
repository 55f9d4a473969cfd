//! `GET /projects/{project}` and `GET /projects/{project}/runs`: the runs, newest first.

use super::frame::{now, visible_project};
use super::{Copied, Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::run::{self, Filter, Listed, RunState};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Runs of one page.
const RUNS_MAX: i64 = 50;
/// A longer text is no branch.
const REF_BYTES_MAX: usize = 250;

/// States that one can ask for, with their words.
const STATES: [(&str, &str); 7] = [
    ("waiting", "Queued"),
    ("running", "Running"),
    ("passed", "Passed"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
    ("invalid", "Invalid"),
    ("refused", "Refused"),
];

struct Row {
    number: i64,
    title: String,
    author: String,
    ref_name: String,
    commit: Copied,
    status: Status,
    said: String,
    created: When,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Shown {
    frame: Frame,
    project: String,
    rows: Vec<Row>,
    states: [(&'static str, &'static str); 7],
    filter: Filter,
    is_filtered: bool,
    /// The last run of this page, when there may be older ones.
    older: Option<i64>,
    is_first: bool,
}

/// The filters of the URL.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default, rename = "ref")]
    ref_name: String,
    #[serde(default)]
    state: String,
    before: Option<i64>,
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
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let is_state = asked.state.is_empty() || STATES.iter().any(|(word, _)| *word == asked.state);
    if !is_state || asked.ref_name.len() > REF_BYTES_MAX {
        return Err(PageError::BadForm(
            "There is no such state, or no branch has so long a name. Clear the filters."
                .to_owned(),
        ));
    }
    let filter = Filter {
        ref_name: asked.ref_name.trim().to_owned(),
        state: asked.state,
    };
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let before = asked.before.unwrap_or(i64::MAX);
    // One more than is shown tells whether there is an older page.
    let found = run::filtered(
        &mut conn,
        project.id.as_str(),
        &filter,
        before,
        RUNS_MAX + 1,
    )
    .await
    .map_err(PageError::log)?;
    let shown = usize::try_from(RUNS_MAX).unwrap_or(0);
    let has_more = found.len() > shown;
    let row = |run: Listed| Row {
        number: run.number,
        status: words::run(&run.state),
        said: said(&run.state),
        title: run.title,
        author: run.author,
        ref_name: short_ref(&run.ref_name).to_owned(),
        commit: Copied::new("commit", run.commit),
        created: When::new(run.created_at, now),
    };
    let rows: Vec<Row> = found.into_iter().take(shown).map(row).collect();
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, "Runs").of_project(&project),
        project: name,
        older: rows.last().filter(|_| has_more).map(|row| row.number),
        rows,
        states: STATES,
        is_filtered: !filter.ref_name.is_empty() || !filter.state.is_empty(),
        filter,
        is_first: asked.before.is_none(),
    }))
}

fn said(state: &RunState) -> String {
    match state {
        RunState::Finished { cause, .. } | RunState::Refused { cause, .. } => words::detail(cause),
        RunState::Invalid { .. } => "The pipeline file has complaints".to_owned(),
        RunState::Waiting | RunState::Running { .. } => String::new(),
    }
}

/// A branch or tag as people call it.
pub(super) fn short_ref(name: &str) -> &str {
    name.strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        .unwrap_or(name)
}
