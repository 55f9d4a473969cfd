//! Why the worker entrance said no, as a response.

use axum::Json;
use axum::response::{IntoResponse, Response};
use contract::protocol::{Refusal, RefusalCode};
use http::StatusCode;

/// A refusal, or a failure of ours.
pub enum Refused {
    /// The worker is told why.
    Because(Refusal),
    /// Something went wrong here; the worker tries again.
    Internal,
}

impl Refused {
    /// A refusal with its code and a sentence.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self::Because(Refusal {
            code,
            message: message.into(),
        })
    }

    /// The lease has passed on.
    pub fn lease_lost() -> Self {
        Self::new(
            RefusalCode::LeaseLost,
            "the lease has passed on or the step has ended: stop the work",
        )
    }

    /// Something went wrong here: it is logged, once, and the worker is told nothing of it.
    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        let error: anyhow::Error = error.into();
        tracing::error!(error = format!("{error:#}"), "a worker's request failed");
        Self::Internal
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Because(refusal) => refusal,
            Self::Internal => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        let status = match refusal.code {
            RefusalCode::LeaseLost | RefusalCode::OutOfOrder => StatusCode::CONFLICT,
            RefusalCode::BadMessage | RefusalCode::NoHello | RefusalCode::Unsupported => {
                StatusCode::BAD_REQUEST
            }
            RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalCode::NotPermitted => StatusCode::FORBIDDEN,
            RefusalCode::BadToken => StatusCode::UNAUTHORIZED,
            RefusalCode::ProtocolVersion => StatusCode::UPGRADE_REQUIRED,
        };
        (status, Json(refusal)).into_response()
    }
}
