//! What a trigger decides.

use crate::blob::{BlobError, Blobs};
use crate::reconcile::Lanes;
use crate::source::{Mirrors, SourceError};

crate::id_type!(
    /// A trigger.
    TriggerId
);

/// What this room is given.
#[derive(Clone)]
pub struct Hands {
    /// Mirrors of repositories.
    pub mirrors: Mirrors,
    /// Large bodies.
    pub blobs: Blobs,
    /// Projects are looked at side by side.
    pub lanes: Lanes,
}

/// Whether something starts. Whether it starts is decided before the pipeline is judged: a broken
/// file starts a run that ends `invalid` and lists every complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A run is made.
    Start {
        /// Why, in words.
        detail: String,
    },
    /// Nothing is.
    Skip {
        /// Why, stable.
        reason: SkipReason,
        /// Why, in words.
        detail: String,
    },
}

/// Why nothing starts; stored, never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The event is no push.
    NotAPush,
    /// It is a pull request: until trust is built, those start nothing.
    NotYet,
    /// The body is not what the event's name says.
    NotUnderstood,
    /// The event is about another repository than the project's source.
    OtherRepository,
    /// The body was seen before under another id.
    Replayed,
    /// The ref was deleted.
    DeletedRef,
    /// The repository names its commits by another hash than can be read.
    OtherObjectFormat,
    /// The repository has no such commit (any more).
    CommitNotFound,
    /// The ref stands elsewhere by now, and what was started for it has this commit in its history.
    Stale,
    /// There is no pipeline file at the commit.
    NoPipelineFile,
    /// The pipeline does not name the event.
    EventNotWanted,
    /// The branch matches none of its filters.
    BranchNotMatched,
    /// The tag matches none of its filters.
    TagNotMatched,
    /// The ref is neither.
    RefNotWanted,
    /// No changed file matches.
    PathsNotMatched,
    /// Every changed file is ignored.
    PathsIgnored,
    /// The repository could not be fetched, again and again.
    SourceUnreachable,
    /// Something here that it hangs on could not be read, again and again.
    Undecidable,
}

impl Decision {
    /// The stored word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Skip { .. } => "skip",
        }
    }
}

impl SkipReason {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAPush => "not-a-push",
            Self::NotYet => "not-yet",
            Self::NotUnderstood => "not-understood",
            Self::OtherRepository => "other-repository",
            Self::OtherObjectFormat => "other-object-format",
            Self::Replayed => "replayed",
            Self::DeletedRef => "deleted-ref",
            Self::CommitNotFound => "commit-not-found",
            Self::Stale => "stale",
            Self::NoPipelineFile => "no-pipeline-file",
            Self::EventNotWanted => "event-not-wanted",
            Self::BranchNotMatched => "branch-not-matched",
            Self::TagNotMatched => "tag-not-matched",
            Self::RefNotWanted => "ref-not-wanted",
            Self::PathsNotMatched => "paths-not-matched",
            Self::PathsIgnored => "paths-ignored",
            Self::SourceUnreachable => "source-unreachable",
            Self::Undecidable => "undecidable",
        }
    }

    /// The word of a filter's answer.
    pub(super) fn of_filter(word: &str) -> Self {
        [
            Self::BranchNotMatched,
            Self::TagNotMatched,
            Self::RefNotWanted,
            Self::PathsNotMatched,
            Self::PathsIgnored,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == word)
        .unwrap_or(Self::EventNotWanted)
    }
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The database.
    #[error("read deliveries or write triggers")]
    Db(#[from] crate::db::Error),
    /// A large body.
    #[error("read the body of delivery {delivery_id}")]
    Body {
        /// Which.
        delivery_id: String,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// The repository.
    #[error("look at the repository for delivery {delivery_id}")]
    Source {
        /// Which.
        delivery_id: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The sender tells of a commit that the repository does not have, or not yet.
    #[error("the repository does not have commit {commit} of {ref_name} yet")]
    NotThereYet {
        /// Of which ref.
        ref_name: String,
        /// Which.
        commit: String,
    },
    /// Something that it hangs on is not there.
    #[error("{what} of delivery {delivery_id} is not there")]
    Missing {
        /// What.
        what: &'static str,
        /// Of which.
        delivery_id: String,
    },
}
