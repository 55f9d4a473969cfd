//! `GET …/steps/{name}`: a step's log, and `…/events`: what comes of it from now on.

use super::frame::visible_project;
use super::{Frame, PageError, Status, Tab, page, words};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::project::Project;
use crate::run;
use crate::step::{self, Step, StepState};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use contract::name::Name;
use contract::protocol::LOG_SECTION_PREFIX;
use http::HeaderMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// What a page shows at once; the rest is declared, and read over the API.
const SHOWN_BYTES_MAX: usize = 512 * 1024;
/// How long an open page waits for news before it looks again by itself.
const LOOK: Duration = Duration::from_millis(500);

struct Section {
    title: String,
    lines: Vec<(usize, String)>,
}

#[derive(Template)]
#[template(path = "step.html")]
struct Shown {
    frame: Frame,
    project: String,
    number: i64,
    name: String,
    kind: String,
    status: Status,
    detail: String,
    sections: Vec<Section>,
    next_line: usize,
    offset: i64,
    live: bool,
    cut: bool,
}

/// The page.
pub async fn log(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, number, name)): Path<(String, i64, String)>,
) -> Result<Response, PageError> {
    let (project, step) = found(&app, &signed_in, &project, number, &name).await?;
    let (mut text, mut offset, mut end) = (Vec::new(), 0, 0);
    loop {
        let slice = app
            .steps
            .logs
            .read(&app.ground, &step.id, step.fence, offset)
            .await;
        let slice = slice.map_err(PageError::log)?;
        end = end.max(slice.end);
        if slice.bytes.is_empty() || text.len() + slice.bytes.len() > SHOWN_BYTES_MAX {
            break;
        }
        text.extend_from_slice(&slice.bytes);
        offset = slice.next_offset;
    }
    let (sections, next_line) = sections(&String::from_utf8_lossy(&text));
    let live = !is_over(&step);
    let detail = match &step.state {
        StepState::Finished { cause, .. } | StepState::Skipped { cause, .. } => {
            cause.detail().unwrap_or_default().to_owned()
        }
        StepState::Leased(_) => step.phase.clone().unwrap_or_default(),
        StepState::Blocked | StepState::Ready { .. } | StepState::Reported { .. } => String::new(),
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, format!("{name}, run {number}"))
            .of_project(&project),
        project: project.name.to_string(),
        number,
        name,
        kind: step.kind.clone(),
        status: words::step(&step.state),
        detail,
        sections,
        next_line,
        offset,
        live,
        cut: !live && offset < end,
    }))
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

/// Lines by the command that wrote them; the number of the line that comes next.
fn sections(text: &str) -> (Vec<Section>, usize) {
    let mut all = vec![Section {
        title: String::new(),
        lines: Vec::new(),
    }];
    let mut number = 1;
    for line in text.lines() {
        match line.strip_prefix(LOG_SECTION_PREFIX) {
            Some(title) => all.push(Section {
                title: title.trim().to_owned(),
                lines: Vec::new(),
            }),
            None => {
                if let Some(last) = all.last_mut() {
                    last.lines.push((number, visible(line)));
                }
                number += 1;
            }
        }
    }
    all.retain(|section| !section.title.is_empty() || !section.lines.is_empty());
    (all, number)
}

/// Control characters are shown, not obeyed.
fn visible(line: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{FFFD}'
        } else {
            c
        }
    };
    line.chars().map(shown).collect()
}

/// Lines as they come; an event's id is the offset behind it, so a page that was cut off goes on where
/// it was.
pub async fn events(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    Path((project, number, name)): Path<(String, i64, String)>,
    axum::extract::Query(from): axum::extract::Query<From>,
) -> Result<Response, PageError> {
    let (_, step) = found(&app, &signed_in, &project, number, &name).await?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let start = Follow {
        offset: last.unwrap_or(from.offset),
        run: step.run_id.clone(),
        name: step.name.clone(),
        over: false,
    };
    let stop = app.tasks.stop();
    let events = futures::stream::unfold((app, start), |(app, mut follow)| async move {
        let event = follow.next(&app).await?;
        Some((Ok::<Event, Infallible>(event), (app, follow)))
    });
    let events = futures::StreamExt::take_until(events, stop.cancelled_owned());
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// From where to go on.
#[derive(serde::Deserialize)]
pub struct From {
    #[serde(default)]
    offset: i64,
}

/// Where an open page is in a log.
struct Follow {
    offset: i64,
    run: run::RunId,
    name: Name,
    over: bool,
}

impl Follow {
    /// The next part, when there is one; `None` when the log is whole, or cannot be read.
    async fn next(&mut self, app: &App) -> Option<Event> {
        while !self.over {
            let step = {
                let mut conn = app.ground.db.reader().await.ok()?;
                step::by_name(&mut conn, &self.run, &self.name)
                    .await
                    .ok()??
            };
            let logs = &app.steps.logs;
            let mut grown = logs.follow();
            let slice = logs
                .read(&app.ground, &step.id, step.fence, self.offset)
                .await
                .ok()?;
            if !slice.bytes.is_empty() {
                self.offset = slice.next_offset;
                let text: String = String::from_utf8_lossy(&slice.bytes)
                    .lines()
                    .map(|line| format!("{}\n", visible(line)))
                    .collect();
                return Some(
                    Event::default()
                        .id(self.offset.to_string())
                        .data(text.trim_end_matches('\n')),
                );
            }
            if is_over(&step) {
                self.over = true;
                return Some(
                    Event::default()
                        .event("over")
                        .id(self.offset.to_string())
                        .data("over"),
                );
            }
            // Any log that grows wakes this one; it then looks whether it was its own.
            let _woken = tokio::time::timeout(LOOK, grown.recv()).await;
        }
        None
    }
}
