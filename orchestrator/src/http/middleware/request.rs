//! Every request has an id: in its log lines, in its answer's header, in a problem's body.

use crate::http::Problem;
use crate::http::problem::{Code, PROBLEM_JSON};
use crate::id::IdSource;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;
use tracing::Instrument as _;

/// Where the answer names it. What a client sends under this name is not looked at: an id that
/// strangers choose would let them write into the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What axum itself says of a request that it refuses is a sentence.
const SENTENCE_BYTES_MAX: usize = 4 * 1024;

/// The id of a request, for what answers it in words.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Paths whose callers are programs: they get problems, never a page or plain text.
const PROGRAMS: &[&str] = &["/api/", "/hooks/", "/registry/", "/metrics"];

/// Gives the request its id and a span that carries it, and the answer both.
pub async fn request_id(
    State(ids): State<Arc<dyn IdSource>>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.uuid().to_string();
    let is_program = PROGRAMS
        .iter()
        .any(|start| request.uri().path().starts_with(start));
    // The path and no query: addresses of sign-ins hold where to go back to, never a secret, but a
    // query is anybody's text.
    let span = tracing::info_span!(
        "request",
        "request.id" = %id,
        method = %request.method(),
        path = %request.uri().path(),
    );
    let mut request = request;
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).instrument(span.clone()).await;
    if is_program {
        let told = told_as_problem(response).instrument(span).await;
        response = with_id(told, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// What the framework refused in plain words becomes a problem: a body that is no JSON, a number
/// that is none, a method that is not there.
async fn told_as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| !kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
    if !(status.is_client_error() || status.is_server_error()) || !is_plain {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, SENTENCE_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let code = Code::of(status);
    let mut told = if code == Code::Internal {
        tracing::error!(status = status.as_u16(), text, "a request failed");
        Problem::unexplained()
    } else if text.is_empty() {
        Problem::new(code, status.canonical_reason().unwrap_or("refused"))
    } else {
        Problem::new(code, text)
    }
    .into_response();
    // `Allow` of a 405 and the like stay.
    for (name, value) in &parts.headers {
        if !told.headers().contains_key(name) && name != header::CONTENT_LENGTH {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

fn with_id(mut response: Response, id: &str) -> Response {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    problem.request_id = Some(id.to_owned());
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
    response
}
