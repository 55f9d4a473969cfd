//! A promotion and its states.

use crate::attestation::AttestationError;
use crate::gate::Requester;
use crate::identity::Actor;
use crate::image::ReleaseId;
use crate::reconcile::Lanes;
use crate::registry::{Registry, RegistryError};
use crate::signing::SignerClient;
use crate::source::Mirrors;
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
    /// The repositories: who worked on what comes in.
    pub mirrors: Mirrors,
    /// Projects' repositories are read side by side.
    pub lanes: Lanes,
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
    /// The same as far as it can be matched to a person.
    pub requester: Requester,
    /// When (µs since 1970 UTC).
    pub requested_at: i64,
    /// Where it stands.
    pub state: PromotionState,
    /// What of applying was seen last, for people.
    pub progress: Option<String>,
    /// Who gave it up, when somebody did.
    pub give_up: Option<GiveUp>,
}

/// An administrator's wish that a promotion ends as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveUp {
    /// When (µs since 1970 UTC).
    pub at: i64,
    /// Who, as stored.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Promotion {
    /// Whether this actor asked for it.
    pub fn is_asked_by(&self, actor: &Actor) -> bool {
        match &self.requester {
            Requester::Rule => false,
            Requester::Person(person) => actor.person() == Some(person),
            // Who cannot be matched to a person is known by the same words only.
            Requester::Unmatched(who) => *who == actor.to_string(),
        }
    }
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
        /// Since when tags may be in the registry: all else was read back. From then on it only goes
        /// on, for no tag may stand that the database denies, or ends by saying which tags stand.
        tagging_since: Option<i64>,
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
        /// The gate's decision, which had let it through.
        decision_id: String,
        /// Why.
        cause: String,
        /// When.
        at: i64,
    },
    /// It was rejected or withdrawn, or what it was about is gone.
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

    /// The gate's decision that let it through; none before that.
    pub fn decision_id(&self) -> Option<&str> {
        match self {
            Self::Applying { decision_id, .. }
            | Self::Applied { decision_id, .. }
            | Self::Failed { decision_id, .. } => Some(decision_id),
            Self::Requested | Self::Waiting | Self::Void { .. } | Self::Superseded { .. } => None,
        }
    }

    /// Whether tags of it may be in the registry.
    pub(super) fn may_have_tags(&self) -> bool {
        match self {
            Self::Applying { tagging_since, .. } => tagging_since.is_some(),
            Self::Applied { .. } => true,
            Self::Requested
            | Self::Waiting
            | Self::Failed { .. }
            | Self::Void { .. }
            | Self::Superseded { .. } => false,
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

/// What happens to a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Its gate was asked and is closed.
    Closed,
    /// Its gate let it through.
    Passed {
        /// The gate's decision.
        decision_id: String,
        /// When.
        at: i64,
    },
    /// Everything but the tags is there and was read back.
    Tagging {
        /// When.
        at: i64,
    },
    /// The tags are there, too, and were read back.
    Tagged {
        /// When.
        at: i64,
    },
    /// It cannot be applied, and trying again would not help.
    Failed {
        /// Why, and what of it is in the registry.
        cause: String,
        /// When.
        at: i64,
    },
    /// It was given up while it was applied.
    GivenUp {
        /// By whom and why, and what of it is in the registry.
        cause: String,
        /// When.
        at: i64,
    },
    /// Somebody said no or took the request back, or what it was about is gone.
    Voided {
        /// Why.
        cause: String,
        /// When.
        at: i64,
    },
    /// A later release entered the environment.
    Overtaken {
        /// By which promotion.
        cause: String,
        /// When.
        at: i64,
    },
}

/// The event does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cannot happen to it in its state")]
pub struct InvalidTransition;

impl PromotionState {
    /// What comes of an event.
    pub(super) fn after(self, event: Event) -> Result<Self, InvalidTransition> {
        match self {
            Self::Requested | Self::Waiting => Self::after_waiting(event),
            Self::Applying {
                decision_id,
                since,
                tagging_since,
            } => Self::after_applying(decision_id, since, tagging_since, event),
            Self::Applied { .. }
            | Self::Failed { .. }
            | Self::Void { .. }
            | Self::Superseded { .. } => Err(InvalidTransition),
        }
    }

    fn after_waiting(event: Event) -> Result<Self, InvalidTransition> {
        match event {
            Event::Closed => Ok(Self::Waiting),
            Event::Passed { decision_id, at } => Ok(Self::Applying {
                decision_id,
                since: at,
                tagging_since: None,
            }),
            Event::Voided { cause, at } => Ok(Self::Void { cause, at }),
            Event::Overtaken { cause, at } => Ok(Self::Superseded { cause, at }),
            Event::Tagging { .. }
            | Event::Tagged { .. }
            | Event::Failed { .. }
            | Event::GivenUp { .. } => Err(InvalidTransition),
        }
    }

    fn after_applying(
        decision_id: String,
        since: i64,
        tagging_since: Option<i64>,
        event: Event,
    ) -> Result<Self, InvalidTransition> {
        match (event, tagging_since) {
            (Event::Tagging { at }, _) => Ok(Self::Applying {
                decision_id,
                since,
                tagging_since: tagging_since.or(Some(at)),
            }),
            (Event::Tagged { at }, Some(_)) => Ok(Self::Applied { decision_id, at }),
            (Event::Failed { cause, at }, None) | (Event::GivenUp { cause, at }, _) => {
                Ok(Self::Failed {
                    decision_id,
                    cause,
                    at,
                })
            }
            (Event::Tagged { .. }, None)
            | (Event::Failed { .. }, Some(_))
            | (
                Event::Closed
                | Event::Passed { .. }
                | Event::Voided { .. }
                | Event::Overtaken { .. },
                _,
            ) => Err(InvalidTransition),
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
    /// The signature for the environment's reference.
    #[error("sign for promotion {id}")]
    Signature {
        /// Which.
        id: PromotionId,
        /// Why.
        #[source]
        source: AttestationError,
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
    /// Whether the same may go well later, by itself or when an operator has mended something. What is
    /// wrong with the release itself, or with what the registry holds of it, does not mend itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry { source, .. } => may_go_well(source),
            Self::Signature { source, .. } => match source {
                AttestationError::Sign { source, .. } => source.is_transient(),
                AttestationError::Publish { source, .. } => may_go_well(source),
                AttestationError::Db(_) => true,
                AttestationError::Facts { .. }
                | AttestationError::Sbom { .. }
                | AttestationError::Unverified { .. }
                | AttestationError::Transition { .. } => false,
            },
            Self::Db(_) | Self::Gate(_) | Self::Approval(_) => true,
            Self::Missing { .. } => false,
        }
    }
}

/// A registry that is away, overloaded or full; one that does not let us in (its trust in our tokens is
/// a matter of configuration, and holds for all promotions alike); one that is behind itself.
fn may_go_well(error: &RegistryError) -> bool {
    match error {
        RegistryError::Status { status, .. } => {
            error.is_transient() || matches!(status, 401 | 403 | 408 | 425)
        }
        RegistryError::Setup(_) => true,
        RegistryError::Unreachable { .. }
        | RegistryError::NotReadBack { .. }
        | RegistryError::Mismatch { .. }
        | RegistryError::TooLarge { .. }
        | RegistryError::NotAManifest { .. } => error.is_transient(),
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;
