//! `GET …/steps/{name}`: a step and its log. `events.rs` follows it, `raw.rs` gives all of it.

mod events;
mod lines;
mod raw;
mod window;

pub use events::events;
pub use raw::raw;

use super::frame::{now, visible_project};
use super::parts::{count, duration, size};
use super::{Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::project::Project;
use crate::run;
use crate::step::{self, PastLease, Step, StepState};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use contract::name::Name;
use lines::{Item, Line};
use serde::Deserialize;
use std::sync::Arc;
use window::{HITS_MAX, Hit, Stored, Window, Wish};

/// A longer text is no search, it is a paste.
const SEARCH_BYTES_MAX: usize = 200;

/// Which log and which part of it.
#[derive(Deserialize)]
pub struct Asked {
    /// Not the last attempt, but this one.
    attempt: Option<i64>,
    /// What comes before this offset.
    before: Option<i64>,
    /// This line and its surroundings.
    line: Option<usize>,
    /// Lines with this text.
    #[serde(default)]
    q: String,
}

/// The lines of one command.
struct Section {
    title: String,
    lines: Vec<Line>,
}

/// An attempt in the list of attempts.
struct Attempt {
    number: i64,
    worker: String,
    status: Status,
    said: String,
    leased: When,
    took: String,
    is_shown: bool,
}

/// A step in the row of the run's steps.
struct Sibling {
    name: String,
    status: Status,
    is_shown: bool,
}

/// What is not shown before or after the window.
struct Cut {
    words: String,
    link: String,
    more: &'static str,
}

struct Found {
    text: String,
    hits: Vec<Hit>,
    count: String,
    cut: bool,
}

#[derive(Template)]
#[template(path = "step.html")]
struct Shown {
    frame: Frame,
    project: String,
    number: i64,
    name: String,
    kind: String,
    path: String,
    status: Status,
    said: String,
    worker: Option<String>,
    leased: Option<When>,
    took: Option<String>,
    siblings: Vec<Sibling>,
    attempts: Vec<Attempt>,
    is_last_attempt: bool,
    /// `?attempt=…&` of every link, when it is not the last one.
    of_attempt: String,
    sections: Vec<Section>,
    earlier: Option<Cut>,
    later: Option<Cut>,
    found: Option<Found>,
    /// Bytes that were printed and are nowhere.
    dropped: Option<String>,
    is_over: bool,
    live: bool,
    /// The window ends where the log does.
    is_end: bool,
    at: String,
    last_line: String,
}

/// The page.
pub async fn log(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, number, name)): Path<(String, i64, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (project, step) = found(&app, &signed_in, &project, number, &name).await?;
    let fence = asked.attempt.unwrap_or(step.fence);
    let (attempts, dropped) = attempts(&app, &step, fence).await?;
    if asked.attempt.is_some() && !attempts.iter().any(|attempt| attempt.is_shown) {
        return Err(PageError::NotFound);
    }
    let is_last_attempt = fence == step.fence;
    let log = Stored {
        app: &app,
        step: step.id.clone(),
        fence,
        grows: is_last_attempt && matches!(step.state, StepState::Leased(_)),
    };
    let wish = match (asked.before, asked.line) {
        (_, Some(line)) => Wish::Line(line),
        (Some(offset), None) => Wish::Before(offset),
        (None, None) => Wish::End,
    };
    let window = log.window(wish).await.map_err(PageError::log)?;
    let path = format!("/projects/{}/runs/{number}/steps/{name}", project.name);
    let of_attempt = asked
        .attempt
        .map_or_else(String::new, |attempt| format!("attempt={attempt}&"));
    let position = events::Position {
        fence,
        place: window.next,
    };
    let siblings = siblings(&app, &step).await?;
    // Of an attempt that is over everything that is told is its own.
    let shown = attempts.iter().find(|attempt| attempt.is_shown);
    let (status, said) = match shown.filter(|_| !is_last_attempt) {
        Some(attempt) => (attempt.status, attempt.said.clone()),
        None => {
            let said = words::said(&step.state, step.phase.as_deref());
            (words::step(&step.state), said)
        }
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, format!("{name}, run {number}"))
            .of_project(&project),
        project: project.name.to_string(),
        number,
        kind: step.kind.clone(),
        status,
        said,
        worker: shown.map(|attempt| attempt.worker.clone()),
        leased: shown.map(|attempt| attempt.leased.clone()),
        took: shown.map(|attempt| attempt.took.clone()),
        siblings,
        attempts,
        is_last_attempt,
        earlier: earlier(&window, &path, &of_attempt),
        later: later(&window, &path, &of_attempt),
        found: search(&log, &asked.q).await?,
        dropped,
        is_over: is_over(&step),
        is_end: wish == Wish::End,
        live: wish == Wish::End && is_last_attempt && !is_over(&step),
        at: position.to_string(),
        last_line: count(window.next.line.saturating_sub(1)),
        sections: sections(window),
        name,
        path,
        of_attempt,
    }))
}

/// Every attempt, and what the one that is shown printed beyond a log's limit.
async fn attempts(
    app: &App,
    step: &Step,
    fence: i64,
) -> Result<(Vec<Attempt>, Option<String>), PageError> {
    let now = now(app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let leases = step::leases(&mut conn, &step.run_id)
        .await
        .map_err(PageError::log)?;
    let claimed = step::claimed(&mut conn, &step.id, fence)
        .await
        .map_err(PageError::log)?;
    let dropped = claimed
        .map(|report| report.log.dropped_bytes)
        .filter(|bytes| *bytes > 0);
    let attempt = |lease: PastLease| Attempt {
        number: lease.fence,
        worker: lease.worker,
        status: match &lease.ended {
            Some((_, cause)) => words::cause(cause),
            None => words::step(&step.state),
        },
        said: match &lease.ended {
            Some((_, cause)) => words::detail(cause),
            None => String::new(),
        },
        leased: When::new(lease.leased_at, now),
        took: duration(lease.leased_at, lease.ended.map_or(now, |(at, _)| at)),
        is_shown: lease.fence == fence,
    };
    let own = leases.into_iter().filter(|lease| lease.step == step.id);
    Ok((own.map(attempt).collect(), dropped.map(size)))
}

/// All steps of the run, to go from one log to the next.
async fn siblings(app: &App, step: &Step) -> Result<Vec<Sibling>, PageError> {
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let steps = step::list(&mut conn, &step.run_id).await;
    let sibling = |other: Step| Sibling {
        status: words::step(&other.state),
        is_shown: other.id == step.id,
        name: other.name.to_string(),
    };
    Ok(steps
        .map_err(PageError::log)?
        .into_iter()
        .map(sibling)
        .collect())
}

async fn search(log: &Stored<'_>, text: &str) -> Result<Option<Found>, PageError> {
    let text = text.trim();
    if text.is_empty() || text.len() > SEARCH_BYTES_MAX {
        return Ok(None);
    }
    let (hits, all) = log.search(text).await.map_err(PageError::log)?;
    Ok(Some(Found {
        text: text.to_owned(),
        hits,
        count: if all == 1 {
            "1 line".to_owned()
        } else {
            format!("{} lines", count(all))
        },
        cut: all > HITS_MAX,
    }))
}

fn earlier(window: &Window, path: &str, of_attempt: &str) -> Option<Cut> {
    let bytes = window.start.offset;
    (bytes > 0).then(|| Cut {
        words: format!(
            "{} lines ({}) before these are not shown here.",
            count(window.start.line - 1),
            size(bytes)
        ),
        link: format!("{path}?{of_attempt}before={bytes}#log-h"),
        more: "Show those before",
    })
}

fn later(window: &Window, path: &str, of_attempt: &str) -> Option<Cut> {
    let line = window.next.line;
    window.is_cut_after.then(|| Cut {
        words: format!(
            "{} after these are not shown here.",
            size(window.end - window.next.offset)
        ),
        link: format!("{path}?{of_attempt}line={line}#L{line}"),
        more: "Show those after",
    })
}

/// Lines by the command that wrote them.
fn sections(window: Window) -> Vec<Section> {
    let section = |title: String| Section {
        title,
        lines: Vec::new(),
    };
    let first = window.section.map_or_else(String::new, |title| {
        let goes_on = window.start.line > 1;
        if goes_on {
            format!("{title} (goes on)")
        } else {
            title.to_string()
        }
    });
    let mut all = vec![section(first)];
    for item in window.items {
        match item {
            Item::Section(title) => all.push(section(title)),
            Item::Line(line) => {
                if let Some(last) = all.last_mut() {
                    last.lines.push(line);
                }
            }
        }
    }
    if all.first().is_some_and(|first| first.lines.is_empty()) {
        all.remove(0);
    }
    all
}

fn is_over(step: &Step) -> bool {
    match step.state {
        StepState::Finished { .. } | StepState::Skipped { .. } => true,
        StepState::Blocked
        | StepState::Ready { .. }
        | StepState::Leased(_)
        | StepState::Reported { .. } => false,
    }
}

async fn found(
    app: &App,
    signed_in: &SignedIn,
    project: &str,
    number: i64,
    name: &str,
) -> Result<(Project, Step), PageError> {
    let project = visible_project(app, signed_in, project).await?;
    let name = Name::parse(name).map_err(|_| PageError::NotFound)?;
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let run = run::by_number(&mut conn, &project.name, number)
        .await
        .map_err(PageError::log)?;
    let run = run.ok_or(PageError::NotFound)?;
    let step = step::by_name(&mut conn, &run.id, &name)
        .await
        .map_err(PageError::log)?;
    Ok((project, step.ok_or(PageError::NotFound)?))
}
