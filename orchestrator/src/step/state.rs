//! What a step is, and what later rooms are asked about it.

use crate::blob::Blobs;
use crate::clock::At;
use crate::db::{self, Conn};
use crate::fleet::WorkerId;
use crate::reconcile::Gong;
use crate::run::{Cause, InvalidTransition, RunId};
use contract::image::ImageRef;
use contract::name::Name;
use futures::future::BoxFuture;
use std::sync::Arc;

crate::id_type!(
    /// A step.
    StepId
);

/// The right to work on a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub worker: WorkerId,
    /// Its fencing number.
    pub fence: i64,
    /// It ends then, unless it is extended.
    pub ends_at: At,
    /// The step is ended then, whatever the worker says.
    pub deadline_at: At,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// A step that it needs has not ended.
    Blocked,
    /// It can be leased.
    Ready {
        /// Not before.
        not_before: At,
    },
    /// A worker works on it.
    Leased(Lease),
    /// The worker is done; nothing is proved yet.
    Reported {
        /// When the report came.
        at: At,
        /// The fence under which it came.
        fence: i64,
    },
    /// It has ended.
    Finished {
        /// Why.
        cause: Cause,
        /// When.
        at: At,
    },
    /// It was never worked on.
    Skipped {
        /// Why.
        cause: Cause,
        /// When.
        at: At,
    },
}

/// What happens to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvent {
    /// All that it needs has passed.
    Unblocked,
    /// It will not be worked on.
    Skipped(Cause),
    /// A worker leased it.
    Claimed(Lease),
    /// The lease goes on.
    Extended {
        /// Its new end.
        ends_at: At,
    },
    /// The worker is done.
    Reported,
    /// It was not the step's fault: once more.
    Retried {
        /// Not before.
        not_before: At,
    },
    /// It has ended.
    Ended(Cause),
}

impl StepState {
    /// What comes of an event.
    pub fn after(self, event: StepEvent, now: At) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Blocked, StepEvent::Unblocked) => Ok(Self::Ready { not_before: now }),
            (Self::Blocked | Self::Ready { .. }, StepEvent::Skipped(cause)) => {
                Ok(Self::Skipped { cause, at: now })
            }
            (Self::Ready { not_before }, StepEvent::Claimed(lease)) if not_before <= now => {
                Ok(Self::Leased(lease))
            }
            (Self::Leased(lease), StepEvent::Extended { ends_at }) => {
                Ok(Self::Leased(Lease { ends_at, ..lease }))
            }
            (Self::Leased(lease), StepEvent::Reported) => Ok(Self::Reported {
                at: now,
                fence: lease.fence,
            }),
            (Self::Leased(_) | Self::Reported { .. }, StepEvent::Retried { not_before }) => {
                Ok(Self::Ready { not_before })
            }
            (Self::Leased(_) | Self::Reported { .. }, StepEvent::Ended(cause)) => {
                Ok(Self::Finished { cause, at: now })
            }
            (
                Self::Blocked
                | Self::Ready { .. }
                | Self::Leased(_)
                | Self::Reported { .. }
                | Self::Finished { .. }
                | Self::Skipped { .. },
                StepEvent::Unblocked
                | StepEvent::Skipped(_)
                | StepEvent::Claimed(_)
                | StepEvent::Extended { .. }
                | StepEvent::Reported
                | StepEvent::Retried { .. }
                | StepEvent::Ended(_),
            ) => Err(InvalidTransition),
        }
    }

    /// The stored word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready { .. } => "ready",
            Self::Leased(_) => "leased",
            Self::Reported { .. } => "reported",
            Self::Finished { .. } => "finished",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// A step as other rooms and pages see it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// Its run.
    pub run_id: RunId,
    /// Its project.
    pub project_id: String,
    /// Its name.
    pub name: Name,
    /// `build`, `analyze`, `scan`, `test`, `run`.
    pub kind: String,
    /// Its place in the file.
    pub ordinal: i64,
    /// Its part of the plan, JSON of a `run::PlannedStep`.
    pub work: String,
    /// How long it may take.
    pub timeout_ms: i64,
    /// Where it stands.
    pub state: StepState,
    /// The fence of the last lease; 0 when there was none.
    pub fence: i64,
    /// How often it was leased.
    pub attempts: i64,
    /// Who works, or worked last, on it.
    pub worker_id: Option<WorkerId>,
    /// What the worker does at the moment, as it says.
    pub phase: Option<String>,
    /// When it could first be leased.
    pub ready_at: Option<At>,
    /// When it was last leased.
    pub leased_at: Option<At>,
    /// When its first container started: a claim of the worker.
    pub started_at: Option<At>,
    /// When the first byte came out: a claim of the worker.
    pub first_output_at: Option<At>,
}

/// Under which lease a worker speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseKey {
    /// The step.
    pub step: StepId,
    /// The fence that the worker presents.
    pub fence: i64,
    /// The worker, by its certificate.
    pub worker: WorkerId,
}

/// What the orchestrator saw of the image that a reported `build` claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It was not looked for yet.
    NotYet,
    /// Read and hashed by ourselves.
    Observed,
    /// The claim did not hold.
    Refused {
        /// In words.
        detail: String,
    },
    /// The registry could not be asked: not the step's fault.
    Infrastructure {
        /// In words.
        detail: String,
    },
}

/// Asked here, answered by `image`, plugged together in `flow.rs`.
pub trait ObservedImages: Send + Sync {
    /// What was seen of the image that this build claims.
    fn observation<'a>(
        &'a self,
        conn: &'a mut Conn,
        step: &'a StepId,
        fence: i64,
    ) -> BoxFuture<'a, Result<Observation, db::Error>>;

    /// The observed image of this name in this run.
    fn image<'a>(
        &'a self,
        conn: &'a mut Conn,
        run: &'a RunId,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<ImageRef>, db::Error>>;
}

/// What a step's stored reports say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They were not read yet.
    NotYet,
    /// Nothing in them fails the step.
    Passed,
    /// They fail the step.
    Failed {
        /// In words.
        what: String,
    },
    /// Something that they should say is missing.
    Incomplete {
        /// What.
        what: String,
    },
    /// A tool did not run well: not the step's fault.
    Infrastructure {
        /// What.
        what: String,
    },
}

/// Asked here, answered by `finding`, plugged together in `flow.rs`.
pub trait Verdicts: Send + Sync {
    /// What the reports of this lease say.
    fn verdict<'a>(
        &'a self,
        conn: &'a mut Conn,
        step: &'a StepId,
        fence: i64,
    ) -> BoxFuture<'a, Result<Verdict, db::Error>>;
}

/// What this room is given.
#[derive(Clone)]
pub struct Hands {
    /// Blobs.
    pub blobs: Blobs,
    /// Logs of steps.
    pub logs: super::Logs,
    /// Answers of `image`.
    pub images: Arc<dyn ObservedImages>,
    /// Answers of `finding`.
    pub verdicts: Arc<dyn Verdicts>,
    /// Tells claims that wait to look again.
    pub claims: Gong,
    /// This instance.
    pub instance_id: String,
    /// Since when this process listens: before that no worker could send a heartbeat, so that a lease
    /// which ran out meanwhile says nothing about its worker.
    pub up_since: At,
}

/// What could not be done about steps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it.
    #[error("step")]
    Db(#[from] db::Error),
    /// The run room did not do it.
    #[error("run of step")]
    Run(#[from] crate::run::Error),
    /// The fleet did not do it.
    #[error("worker of step")]
    Fleet(#[from] crate::fleet::Error),
    /// A log's file could not be written or read.
    #[error("log of step {step}, fence {fence}")]
    Log {
        /// The step.
        step: StepId,
        /// The fence.
        fence: i64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A log's file is not what its rows say.
    #[error("log of step {step}, fence {fence} is damaged")]
    LogDamaged {
        /// The step.
        step: StepId,
        /// The fence.
        fence: i64,
    },
    /// An artifact could not be stored.
    #[error("artifact of step {step}")]
    Artifact {
        /// The step.
        step: StepId,
        /// Why.
        #[source]
        source: crate::blob::BlobError,
    },
    /// Stored JSON of ours cannot be read.
    #[error("{what} of step {step}")]
    Stored {
        /// What.
        what: &'static str,
        /// The step.
        step: StepId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SteppedClock;
    use crate::id::SystemIds;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of every state and event")]
    fn every_event_in_every_state() {
        let ids = SystemIds::new(Arc::new(SteppedClock::new(At(0))));
        let (t, now, later) = (At(1), At(5), At(9));
        let cause = || Cause::Cancelled { by: "x".to_owned() };
        let worker = WorkerId::new(&ids);
        let lease = |ends_at| Lease {
            worker: worker.clone(),
            fence: 3,
            ends_at,
            deadline_at: later,
        };
        let states = [
            StepState::Blocked,
            StepState::Ready { not_before: t },
            StepState::Leased(lease(t)),
            StepState::Reported { at: t, fence: 3 },
            StepState::Finished {
                cause: cause(),
                at: t,
            },
            StepState::Skipped {
                cause: cause(),
                at: t,
            },
        ];
        let events = [
            StepEvent::Unblocked,
            StepEvent::Skipped(cause()),
            StepEvent::Claimed(lease(t)),
            StepEvent::Extended { ends_at: later },
            StepEvent::Reported,
            StepEvent::Retried { not_before: later },
            StepEvent::Ended(cause()),
        ];
        let finished = || {
            Some(StepState::Finished {
                cause: cause(),
                at: now,
            })
        };
        let skipped = || {
            Some(StepState::Skipped {
                cause: cause(),
                at: now,
            })
        };
        let again = || Some(StepState::Ready { not_before: later });
        let table = [
            [
                Some(StepState::Ready { not_before: now }),
                skipped(),
                None,
                None,
                None,
                None,
                None,
            ],
            [
                None,
                skipped(),
                Some(StepState::Leased(lease(t))),
                None,
                None,
                None,
                None,
            ],
            [
                None,
                None,
                None,
                Some(StepState::Leased(lease(later))),
                Some(StepState::Reported { at: now, fence: 3 }),
                again(),
                finished(),
            ],
            [None, None, None, None, None, again(), finished()],
            [None, None, None, None, None, None, None],
            [None, None, None, None, None, None, None],
        ];
        for (state, row) in states.iter().zip(&table) {
            for (event, wanted) in events.iter().zip(row) {
                let came = state.clone().after(event.clone(), now).ok();
                assert_eq!(&came, wanted, "{state:?} {event:?}");
            }
        }
        let early = StepState::Ready { not_before: later };
        assert_eq!(
            early.after(StepEvent::Claimed(lease(t)), now),
            Err(InvalidTransition)
        );
    }
}
