//! `GET …/steps/{name}/events`: what comes of a step and its log from now on.

use super::lines::{self, Item, Place};
use super::window::Stored;
use super::{found, is_over};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::http::pages::{PageError, words};
use crate::run::RunId;
use crate::step::{self, Grown, Step, StepState};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use contract::name::Name;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// How long an open page waits for news before it looks again by itself.
const LOOK: Duration = Duration::from_millis(500);
/// A page asks anew after this long, so that a session that has ended meanwhile sees nothing more.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// Where a page goes on that has no `Last-Event-ID` to tell.
#[derive(Deserialize)]
pub struct From {
    from: Option<String>,
}

/// A place in a log of a step: what an event's id says. The next attempt begins a log of its own, so
/// an offset alone would skip its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) fence: i64,
    pub(super) place: Place,
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '.');
        let fence = parts.next()?.parse().ok()?;
        let offset = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let inside = match parts.next() {
            None => false,
            Some("inside") => true,
            Some(_) => return None,
        };
        let place = Place {
            offset,
            line,
            inside,
        };
        (fence >= 0 && offset >= 0 && line > 0).then_some(Self { fence, place })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fence, place } = self;
        write!(f, "{fence}.{}.{}", place.offset, place.line)?;
        f.write_str(if place.inside { ".inside" } else { "" })
    }
}

/// The events.
pub async fn events(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    Path((project, number, name)): Path<(String, i64, String)>,
    Query(From { from }): Query<From>,
) -> Result<Response, PageError> {
    let (_, step) = found(&app, &signed_in, &project, number, &name).await?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let at = match last.or(from.as_deref()) {
        Some(text) => Position::parse(text).ok_or_else(|| {
            PageError::BadForm("This is no place in a log. Open the page again.".to_owned())
        })?,
        None => Position {
            fence: step.fence,
            place: Place::START,
        },
    };
    let follow = Follow {
        at,
        run: step.run_id.clone(),
        name: step.name.clone(),
        told: None,
        grown: app.steps.logs.follow(),
    };
    let stop = app.tasks.stop();
    let events = futures::stream::unfold((app, follow), |(app, mut follow)| async move {
        let event = follow.next(&app).await?;
        Some((Ok::<Event, Infallible>(event), (app, follow)))
    });
    let end = async move {
        // Which of the two it was does not matter to a page: it asks again.
        drop(tokio::time::timeout(STREAM_MAX, stop.cancelled_owned()).await);
    };
    let events = futures::StreamExt::take_until(events, Box::pin(end));
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// New lines.
#[derive(Serialize)]
struct Lines {
    items: Vec<Item>,
}

/// A new attempt, whose log begins with the next event.
#[derive(Serialize)]
struct Attempt {
    number: i64,
    /// How the one before it ended.
    why: String,
}

/// The step's state, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Told {
    class: &'static str,
    shape: &'static str,
    word: &'static str,
    detail: String,
    /// Nothing more will come.
    over: bool,
}

/// What an open page knows.
struct Follow {
    at: Position,
    run: RunId,
    name: Name,
    told: Option<Told>,
    grown: Receiver<Grown>,
}

impl Follow {
    /// The next event; `None` when nothing more will come, or it cannot be found out.
    async fn next(&mut self, app: &App) -> Option<Event> {
        loop {
            if self.told.as_ref().is_some_and(|told| told.over) {
                return None;
            }
            // First the state, then the log: what a step prints is stored before it ends.
            let step = self.step(app).await?;
            let is_current = self.at.fence == step.fence;
            let log = Stored {
                app,
                step: step.id.clone(),
                fence: self.at.fence,
                grows: is_current && matches!(step.state, StepState::Leased(_)),
            };
            let (items, is_end) = self.lines(&log).await?;
            if !items.is_empty() {
                return self.event(Event::default(), &Lines { items });
            }
            if !is_end {
                continue;
            }
            if !is_current {
                let attempt = self.attempt(app, &step).await?;
                let first = self.at.fence == 0;
                self.at = Position {
                    fence: step.fence,
                    place: Place::START,
                };
                if first {
                    continue;
                }
                return self.event(Event::default().event("attempt"), &attempt);
            }
            let told = told(&step);
            if self.told.as_ref() != Some(&told) {
                self.told = Some(told.clone());
                return self.event(Event::default().event("state"), &told);
            }
            self.wait(&step).await;
        }
    }

    async fn step(&self, app: &App) -> Option<Step> {
        let mut conn = app.ground.db.reader().await.ok()?;
        let step = step::by_name(&mut conn, &self.run, &self.name).await;
        step.ok()?
    }

    /// The lines that are whole, and whether that is all for now.
    async fn lines(&mut self, log: &Stored<'_>) -> Option<(Vec<Item>, bool)> {
        let slice = log.read(self.at.place.offset).await.ok()?;
        let mut items = Vec::new();
        let rest = log.rest(&slice);
        self.at.place.walk(&slice.bytes, rest, |place, line| {
            items.push(lines::item(place, line));
            true
        });
        Some((items, slice.next_offset == slice.end))
    }

    /// How the attempt that was shown ended, and the number of the one that goes on.
    async fn attempt(&self, app: &App, step: &Step) -> Option<Attempt> {
        let mut conn = app.ground.db.reader().await.ok()?;
        let leases = step::leases(&mut conn, &self.run).await.ok()?;
        let ended = leases
            .into_iter()
            .find(|lease| lease.step == step.id && lease.fence == self.at.fence)
            .and_then(|lease| lease.ended);
        Some(Attempt {
            number: step.fence,
            why: ended.map_or_else(String::new, |(_, cause)| cause.to_string()),
        })
    }

    fn event(&self, event: Event, data: &impl Serialize) -> Option<Event> {
        event.id(self.at.to_string()).json_data(data).ok()
    }

    /// Until this log has grown, or it is time to look at the step again.
    async fn wait(&mut self, step: &Step) {
        let until = Instant::now() + LOOK;
        loop {
            match tokio::time::timeout_at(until, self.grown.recv()).await {
                Ok(Ok(grown)) if grown.step != step.id => {}
                // A log that is far behind is simply read again.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => return,
                Ok(Err(RecvError::Closed)) => {
                    tokio::time::sleep_until(until).await;
                    return;
                }
            }
        }
    }
}

fn told(step: &Step) -> Told {
    let status = words::step(&step.state);
    Told {
        class: status.class(),
        shape: status.shape,
        word: status.word,
        detail: words::said(&step.state, step.phase.as_deref()),
        over: is_over(step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_nothing_else_is_one() {
        let place = Place {
            offset: 70_000,
            line: 12,
            inside: true,
        };
        for place in [place, Place::START] {
            let at = Position { fence: 3, place };
            assert_eq!(Position::parse(&at.to_string()), Some(at));
        }
        for bad in [
            "",
            "5",
            "1.2",
            "-1.0.1",
            "1.-5.1",
            "1.0.0",
            "1.0.1.x",
            "1.0.1.inside.x",
            "a.b.c",
        ] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
