//! `GET …/steps/{name}/log`: a log as it was printed, all of it, as text.

use super::window::Stored;
use super::{Asked, found};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::http::pages::PageError;
use crate::step::Step;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use std::sync::Arc;

/// The bytes up to the end at this moment.
pub async fn raw(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, number, name)): Path<(String, i64, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (_, step) = found(&app, &signed_in, &project, number, &name).await?;
    let fence = asked.attempt.unwrap_or(step.fence);
    let end = app.steps.logs.end(&app.ground, &step.id, fence).await;
    let end = end.map_err(PageError::log)?.bytes;
    let parts = futures::stream::unfold((app, step, 0), move |(app, step, offset)| async move {
        if offset >= end {
            return None;
        }
        let part = part(&app, &step, fence, offset, end).await;
        let next = part.as_ref().map_or(end, |(_, next)| *next);
        Some((part.map(|(bytes, _)| bytes), (app, step, next)))
    });
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, Body::from_stream(parts)).into_response())
}

async fn part(
    app: &App,
    step: &Step,
    fence: i64,
    offset: i64,
    end: i64,
) -> Result<(Vec<u8>, i64), crate::step::Error> {
    let log = Stored {
        app,
        step: step.id.clone(),
        fence,
        grows: false,
    };
    let mut slice = log.read(offset).await?;
    let left = usize::try_from(end - offset).unwrap_or(0);
    slice.bytes.truncate(left);
    // A file that is shorter than its rows say has no more to give.
    let next = if slice.bytes.is_empty() {
        end
    } else {
        slice.next_offset
    };
    Ok((slice.bytes, next))
}
