//! What can go wrong at the registry, and whether to try again.

use contract::digest::Digest;

/// An operation at the registry did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer: down, slow, or cut off.
    #[error("registry: {operation} {what}: no answer")]
    Unreachable {
        /// What was tried.
        operation: &'static str,
        /// On what.
        what: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answered with a status that is not the one hoped for.
    #[error("registry: {operation} {what}: status {status}")]
    Status {
        /// What was tried.
        operation: &'static str,
        /// On what.
        what: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not the ones that were asked for.
    #[error("registry: {what}: asked for {wanted}, the bytes are {got}")]
    Mismatch {
        /// Where.
        what: String,
        /// What was asked for.
        wanted: Digest,
        /// What came.
        got: Digest,
    },
    /// More than it may be.
    #[error("registry: {what} is larger than {limit} bytes")]
    TooLarge {
        /// Where.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// It took something that is not there when it is read back.
    #[error("registry: {what}: was taken, and is not there when it is read back")]
    NotReadBack {
        /// What.
        what: String,
    },
    /// A manifest that is none.
    #[error("registry: {what}: not a manifest that is understood: {problem}")]
    NotAManifest {
        /// Where.
        what: String,
        /// Why.
        problem: String,
    },
    /// A token could not be made, or the client not set up.
    #[error("registry: {0}")]
    Setup(String),
}

impl RegistryError {
    /// Whether the same may go well later: the registry is away, overloaded or full.
    pub fn is_transient(&self) -> bool {
        match self {
            // A registry with replicas may be behind itself for a moment.
            Self::Unreachable { .. } | Self::NotReadBack { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Mismatch { .. }
            | Self::TooLarge { .. }
            | Self::NotAManifest { .. }
            | Self::Setup(_) => false,
        }
    }
}
