//! What a run is, and how things end.

use crate::clock::At;
use crate::db;
use contract::digest::{CommitId, Digest};
use contract::name::Name;

crate::id_type!(
    /// A run.
    RunId
);

/// Why a step or a run ended (DECISIONS 18). Stored as a word and, where there is one, a detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// All was done and proved.
    Passed,
    /// The step's own work failed; for a run: which step.
    Failed {
        /// In words.
        what: String,
    },
    /// The worker was not heard of until the lease's end.
    WorkerLost,
    /// It took longer than it may.
    Deadline {
        /// Which deadline.
        which: String,
    },
    /// Somebody ended it.
    Cancelled {
        /// Who.
        by: String,
    },
    /// A newer one took its place.
    Superseded {
        /// Which.
        by: String,
    },
    /// Policy refused it.
    Refused {
        /// Why.
        why: String,
    },
    /// It says that it passed and something that proves it is missing.
    Incomplete {
        /// What is missing.
        what: String,
    },
    /// Not its own fault.
    Infrastructure {
        /// What went wrong.
        what: String,
    },
    /// A step that it needs did not pass (skipped steps only).
    Needed {
        /// The step that it needs.
        step: String,
    },
}

impl Cause {
    /// The stored word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::WorkerLost => "worker-lost",
            Self::Deadline { .. } => "deadline",
            Self::Cancelled { .. } => "cancelled",
            Self::Superseded { .. } => "superseded",
            Self::Refused { .. } => "refused",
            Self::Incomplete { .. } => "incomplete",
            Self::Infrastructure { .. } => "infrastructure",
            Self::Needed { .. } => "needed",
        }
    }

    /// The stored detail.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Passed | Self::WorkerLost => None,
            Self::Failed { what } | Self::Incomplete { what } | Self::Infrastructure { what } => {
                Some(what)
            }
            Self::Deadline { which } => Some(which),
            Self::Cancelled { by } | Self::Superseded { by } => Some(by),
            Self::Refused { why } => Some(why),
            Self::Needed { step } => Some(step),
        }
    }

    /// Reads what was stored; `None` when no code of ours could have written it.
    pub fn stored(word: &str, detail: Option<String>) -> Option<Self> {
        Some(match (word, detail) {
            ("passed", None) => Self::Passed,
            ("worker-lost", None) => Self::WorkerLost,
            ("failed", Some(what)) => Self::Failed { what },
            ("deadline", Some(which)) => Self::Deadline { which },
            ("cancelled", Some(by)) => Self::Cancelled { by },
            ("superseded", Some(by)) => Self::Superseded { by },
            ("refused", Some(why)) => Self::Refused { why },
            ("incomplete", Some(what)) => Self::Incomplete { what },
            ("infrastructure", Some(what)) => Self::Infrastructure { what },
            ("needed", Some(step)) => Self::Needed { step },
            (_, _) => return None,
        })
    }

    /// Whether it may be tried again: it was not the step's fault.
    pub fn is_retried(&self) -> bool {
        match self {
            Self::WorkerLost | Self::Infrastructure { .. } => true,
            Self::Passed
            | Self::Failed { .. }
            | Self::Deadline { .. }
            | Self::Cancelled { .. }
            | Self::Superseded { .. }
            | Self::Refused { .. }
            | Self::Incomplete { .. }
            | Self::Needed { .. } => false,
        }
    }
}

/// In words, for people.
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed { what } => write!(f, "failed: {what}"),
            Self::WorkerLost => f.write_str("worker lost"),
            Self::Deadline { which } => write!(f, "deadline: {which}"),
            Self::Cancelled { by } => write!(f, "cancelled by {by}"),
            Self::Superseded { by } => write!(f, "superseded by {by}"),
            Self::Refused { why } => write!(f, "refused by policy: {why}"),
            Self::Incomplete { what } => write!(f, "incomplete: {what}"),
            Self::Infrastructure { what } => write!(f, "infrastructure: {what}"),
            Self::Needed { step } => write!(f, "needs {step}, which did not pass"),
        }
    }
}

/// Where a commit comes from; carried by everything derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// From somebody with a right to the repository.
    Trusted,
    /// A fork, an outsider.
    Untrusted,
}

impl Trust {
    /// The stored word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// No step was leased yet.
    Waiting,
    /// A step was leased.
    Running {
        /// When the first one was.
        started_at: At,
    },
    /// Every step has ended.
    Finished {
        /// Why it ended; `Passed` is green.
        cause: Cause,
        /// When.
        at: At,
    },
    /// The pipeline file is broken.
    Invalid {
        /// When that was found.
        at: At,
    },
    /// Policy did not let it start.
    Refused {
        /// Why.
        cause: Cause,
        /// When.
        at: At,
    },
}

/// What happens to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// A step was leased.
    Started,
    /// The last step has ended.
    Ended(Cause),
}

/// The event does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cannot happen to it in its state")]
pub struct InvalidTransition;

impl RunState {
    /// What comes of an event.
    pub fn after(self, event: RunEvent, at: At) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Waiting, RunEvent::Started) => Ok(Self::Running { started_at: at }),
            // The second step, and each one after it.
            (Self::Running { started_at }, RunEvent::Started) => Ok(Self::Running { started_at }),
            // A run that was cancelled before its first step never ran.
            (Self::Waiting | Self::Running { .. }, RunEvent::Ended(cause)) => {
                Ok(Self::Finished { cause, at })
            }
            (
                Self::Finished { .. } | Self::Invalid { .. } | Self::Refused { .. },
                RunEvent::Started | RunEvent::Ended(_),
            ) => Err(InvalidTransition),
        }
    }

    /// The stored word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Finished { .. } => "finished",
            Self::Invalid { .. } => "invalid",
            Self::Refused { .. } => "refused",
        }
    }
}

/// A run as other rooms see it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its project.
    pub project_id: String,
    /// The project's name.
    pub project: Name,
    /// Its number in the project.
    pub number: i64,
    /// The trigger that started it.
    pub trigger_id: String,
    /// Which attempt at that trigger.
    pub attempt: i64,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit: CommitId,
    /// The commit's time, seconds since 1970 UTC.
    pub commit_time: i64,
    /// Whether the commit is trusted.
    pub trust: Trust,
    /// The source archive: digest and length; none for an invalid run.
    pub source: Option<(Digest, u64)>,
    /// Where it stands.
    pub state: RunState,
    /// Who asked for its end, and when.
    pub cancel: Option<(String, At)>,
    /// When it was made.
    pub created_at: At,
}

/// What could not be done about runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it.
    #[error("run")]
    Db(#[from] db::Error),
    /// The repository could not be read.
    #[error("source of run")]
    Source(#[from] crate::source::SourceError),
    /// The repository does not have the commit, or not yet.
    #[error("the repository does not have commit {commit}")]
    NoCommit {
        /// Which.
        commit: String,
    },
    /// The source archive could not be stored.
    #[error("source archive of run")]
    Archive(#[from] crate::blob::BlobError),
    /// A project without settings.
    #[error("project {project} has no settings")]
    NoSettings {
        /// The project's id.
        project: String,
    },
    /// A frozen plan cannot be read or written.
    #[error("plan of run {run}")]
    Plan {
        /// The run.
        run: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_state() {
        let (t, u) = (At(1), At(2));
        let passed = || RunEvent::Ended(Cause::Passed);
        let finished = |at| RunState::Finished {
            cause: Cause::Passed,
            at,
        };
        let refused = RunState::Refused {
            cause: Cause::Refused { why: "x".into() },
            at: t,
        };
        let table = [
            (
                RunState::Waiting,
                RunEvent::Started,
                Ok(RunState::Running { started_at: u }),
            ),
            (RunState::Waiting, passed(), Ok(finished(u))),
            (
                RunState::Running { started_at: t },
                RunEvent::Started,
                Ok(RunState::Running { started_at: t }),
            ),
            (
                RunState::Running { started_at: t },
                passed(),
                Ok(finished(u)),
            ),
            (finished(t), RunEvent::Started, Err(InvalidTransition)),
            (finished(t), passed(), Err(InvalidTransition)),
            (
                RunState::Invalid { at: t },
                RunEvent::Started,
                Err(InvalidTransition),
            ),
            (
                RunState::Invalid { at: t },
                passed(),
                Err(InvalidTransition),
            ),
            (refused.clone(), RunEvent::Started, Err(InvalidTransition)),
            (refused, passed(), Err(InvalidTransition)),
        ];
        for (state, event, wanted) in table {
            assert_eq!(
                state.clone().after(event.clone(), u),
                wanted,
                "{state:?} {event:?}"
            );
        }
    }

    #[test]
    fn a_cause_reads_back_as_it_was_stored() {
        let text = || "x".to_owned();
        for cause in [
            Cause::Passed,
            Cause::Failed { what: text() },
            Cause::WorkerLost,
            Cause::Deadline { which: text() },
            Cause::Cancelled { by: text() },
            Cause::Superseded { by: text() },
            Cause::Refused { why: text() },
            Cause::Incomplete { what: text() },
            Cause::Infrastructure { what: text() },
            Cause::Needed { step: text() },
        ] {
            let stored = Cause::stored(cause.word(), cause.detail().map(str::to_owned));
            assert_eq!(stored, Some(cause));
        }
        assert_eq!(Cause::stored("passed", Some(text())), None);
        assert_eq!(Cause::stored("failed", None), None);
    }
}
