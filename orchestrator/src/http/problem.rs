//! API errors: RFC 9457 `application/problem+json` with a stable `code` (DECISIONS 6).

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;

/// An error as a client of the API sees it: never inner text.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word, kebab-case; listed in docs/api.md.
    pub code: &'static str,
    /// One sentence that says how to mend it.
    pub detail: String,
    /// For documents: every complaint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<serde_json::Value>,
}

impl Problem {
    /// A problem with this status, code and sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            code,
            detail: detail.into(),
            complaints: Vec::new(),
        }
    }

    /// Something went wrong on our side; it is logged here, once, and the client is told nothing of
    /// it.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            chain = format!("{chain}: {inner}");
            source = inner.source();
        }
        tracing::error!(error = chain, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here; it is in the server's log",
        )
    }

    /// There is no such thing, or it may not be seen: the same answer for both (DECISIONS 16).
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "there is no such thing here",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response()
    }
}
