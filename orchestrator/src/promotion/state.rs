//! A promotion and its states.

use crate::identity::PersonId;
use crate::image::ReleaseId;
use crate::registry::{Registry, RegistryError};
use crate::signing::{SignerClient, SigningError};
use contract::name::Name;

crate::id_type!(
    /// A promotion.
    PromotionId
);

/// What this room is given.
#[derive(Clone)]
pub struct Hands {
    /// The registry.
    pub registry: Registry,
    /// The signer.
    pub signer: SignerClient,
    /// This instance.
    pub instance_id: String,
}

/// One release on its way into one environment.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// The project's id.
    pub project_id: String,
    /// Its number in the project.
    pub number: i64,
    /// The release.
    pub release_id: ReleaseId,
    /// The environment.
    pub environment: Name,
    /// The version of the settings that it was last judged by.
    pub settings_version: i64,
    /// Who or what asked for it, as stored.
    pub requested_by: String,
    /// The person who asked for it, if one did.
    pub requester: Option<PersonId>,
    /// When (µs since 1970 UTC).
    pub requested_at: i64,
    /// Where it stands.
    pub state: PromotionState,
    /// What of applying was seen last, for people.
    pub progress: Option<String>,
}

/// Where a promotion stands. Times are µs since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromotionState {
    /// Nobody has judged it yet.
    Requested,
    /// Its gate is closed.
    Waiting,
    /// Its gate let it through; it is being copied.
    Applying {
        /// The gate's decision.
        decision_id: String,
        /// Since when.
        since: i64,
    },
    /// It is in the environment.
    Applied {
        /// The gate's decision.
        decision_id: String,
        /// Since when.
        at: i64,
    },
    /// It could not be applied.
    Failed {
        /// Why.
        cause: String,
        /// When.
        at: i64,
    },
    /// It was rejected, or what it was about is gone.
    Void {
        /// Why.
        cause: String,
        /// When.
        at: i64,
    },
    /// A later release entered the environment.
    Superseded {
        /// By which promotion.
        cause: String,
        /// When.
        at: i64,
    },
}

impl PromotionState {
    /// The stored word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Waiting => "waiting",
            Self::Applying { .. } => "applying",
            Self::Applied { .. } => "applied",
            Self::Failed { .. } => "failed",
            Self::Void { .. } => "void",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// Whether it still waits for its gate.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Requested | Self::Waiting => true,
            Self::Applying { .. }
            | Self::Applied { .. }
            | Self::Failed { .. }
            | Self::Void { .. }
            | Self::Superseded { .. } => false,
        }
    }
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// The database.
    #[error("read or write promotions")]
    Db(#[from] crate::db::Error),
    /// The gate.
    #[error("judge a promotion")]
    Gate(#[from] crate::gate::GateError),
    /// The approval.
    #[error("answer about a promotion")]
    Approval(#[from] crate::approval::ApprovalError),
    /// The registry.
    #[error("apply promotion {id}")]
    Registry {
        /// Which.
        id: PromotionId,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The signer.
    #[error("sign for promotion {id}")]
    Signing {
        /// Which.
        id: PromotionId,
        /// Why.
        #[source]
        source: SigningError,
    },
    /// A row that it hangs on is not there.
    #[error("{what} of promotion {id} is not there")]
    Missing {
        /// What.
        what: &'static str,
        /// Of which.
        id: PromotionId,
    },
}

impl PromotionError {
    /// Whether the same may go well later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry { source, .. } => match source {
                RegistryError::Mismatch { .. } | RegistryError::NotAManifest { .. } => false,
                RegistryError::Unreachable { .. }
                | RegistryError::Status { .. }
                | RegistryError::TooLarge { .. }
                | RegistryError::Setup(_) => true,
            },
            Self::Signing { source, .. } => source.is_transient(),
            Self::Db(_) | Self::Gate(_) | Self::Approval(_) => true,
            Self::Missing { .. } => false,
        }
    }
}
