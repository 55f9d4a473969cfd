//! One request and what its answer means: granted, refused, or could not be found out.

use contract::protocol::{Refusal, RefusalCode};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use std::io;

/// A refusal is a few words.
pub(super) const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Any JSON answer of the entrance.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An answer that was understood.
#[derive(Debug)]
pub enum Said<T> {
    /// Yes, with what was asked for.
    Granted(T),
    /// No, and repeating would not help.
    Refused(Refusal),
}

/// The orchestrator's word could not be had. Every variant says whether repeating may help.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer came.
    #[error("could not {what}: the orchestrator does not answer")]
    Transport {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is no word of the protocol.
    #[error("could not {what}: the orchestrator answered status {status}")]
    Status {
        /// The operation.
        what: &'static str,
        /// The status.
        status: u16,
    },
    /// An answer that cannot be read.
    #[error("could not {what}: the answer cannot be read")]
    Answer {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// An answer that is longer than it may be.
    #[error("could not {what}: the answer is longer than {limit} bytes")]
    TooLong {
        /// The operation.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A file of our own could not be used.
    #[error("could not {what}: a file of the worker cannot be used")]
    File {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came is not what was promised.
    #[error("could not {what}: what came has another digest than promised")]
    Digest {
        /// The operation.
        what: &'static str,
    },
}

impl CallError {
    /// Whether the same request may succeed later.
    pub fn may_help_to_repeat(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Digest { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            Self::Answer { .. } | Self::TooLong { .. } | Self::File { .. } => false,
        }
    }
}

/// Sends and reads the answer's status; a refusal is read whole.
pub(super) async fn send(
    what: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Said<reqwest::Response>, CallError> {
    let response = request
        .send()
        .await
        .map_err(|source| CallError::Transport { what, source })?;
    let status = response.status();
    if status.is_success() {
        return Ok(Said::Granted(response));
    }
    let number = status.as_u16();
    let not_a_word = CallError::Status {
        what,
        status: number,
    };
    if !status.is_client_error() || number == 429 || number == 408 {
        return Err(not_a_word);
    }
    let body = bounded(what, response, REFUSAL_BYTES_MAX).await?;
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Ok(Said::Refused(refusal)),
        Err(_) if number == 409 || number == 410 => Ok(Said::Refused(Refusal {
            code: RefusalCode::LeaseLost,
            message: format!("status {number}"),
        })),
        Err(_) => Err(not_a_word),
    }
}

/// Sends and reads a JSON answer.
pub(super) async fn ask<T: DeserializeOwned>(
    what: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Said<T>, CallError> {
    match send(what, request).await? {
        Said::Granted(response) => {
            let body = bounded(what, response, ANSWER_BYTES_MAX).await?;
            serde_json::from_slice(&body)
                .map(Said::Granted)
                .map_err(|source| CallError::Answer { what, source })
        }
        Said::Refused(refusal) => Ok(Said::Refused(refusal)),
    }
}

/// Sends where nothing but yes or no is answered.
pub(super) async fn tell(
    what: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Said<()>, CallError> {
    match send(what, request).await? {
        Said::Granted(_) => Ok(Said::Granted(())),
        Said::Refused(refusal) => Ok(Said::Refused(refusal)),
    }
}

/// Reads a body that may not be longer than this.
pub(super) async fn bounded(
    what: &'static str,
    response: reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|source| CallError::Transport { what, source })?;
        if body.len() + piece.len() > limit {
            return Err(CallError::TooLong {
                what,
                limit: limit as u64,
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
