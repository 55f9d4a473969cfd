//! `GET /projects/{project}` and `GET /projects/{project}/runs`: the runs, newest first.

use super::frame::{now, visible_project};
use super::query::{Choice, Filters, Query, choices};
use super::{Copied, Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::run::{self, Filter, Listed, RunState};
use askama::Template;
use axum::extract::{Path, Query as Read, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

/// Runs of one page.
const RUNS_MAX: usize = 50;
/// The filters, in the order of the form.
const FILTERS: [&str; 2] = ["ref", "state"];

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
    filters: Filters,
    states: Vec<Choice>,
    /// A run in it has not ended.
    is_live: bool,
    /// Where the list goes on.
    older: Option<String>,
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
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let filters = Filters::read(format!("/projects/{name}/runs"), &query, &FILTERS)?;
    let filter = filter(&filters)?;
    // A run's number is its place: numbers have no gaps and are never given twice.
    let before = filters.place()?.map_or(i64::MAX, |(number, _)| number);
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    // One more than is shown tells whether there is an older page.
    let limit = i64::try_from(RUNS_MAX + 1).unwrap_or(i64::MAX);
    let found = run::filtered(&mut conn, project.id.as_str(), &filter, before, limit);
    let mut found = found.await.map_err(PageError::log)?;
    let is_more = found.len() > RUNS_MAX;
    found.truncate(RUNS_MAX);
    let last = found.last().filter(|_| is_more);
    let older = last.map(|last| filters.after(last.number, ""));
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
    let is_live = found.iter().any(|run| is_open(&run.state));
    let states = STATES.map(|(value, word)| (value.to_owned(), word.to_owned()));
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, "Runs").of_project(&project),
        project: name,
        rows: found.into_iter().map(row).collect(),
        states: choices(&filters, "state", "Any", states),
        older,
        is_live,
        filters,
    }))
}

fn filter(filters: &Filters) -> Result<Filter, PageError> {
    let state = filters.get("state");
    if !state.is_empty() && !STATES.iter().any(|(word, _)| *word == state) {
        let problem = format!("“{state}” is no state of a run.");
        return Err(PageError::BadQuery(problem));
    }
    Ok(Filter {
        ref_name: filters.get("ref").to_owned(),
        state: state.to_owned(),
    })
}

fn is_open(state: &RunState) -> bool {
    match state {
        RunState::Waiting | RunState::Running { .. } => true,
        RunState::Finished { .. } | RunState::Refused { .. } | RunState::Invalid { .. } => false,
    }
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
