//! One frozen plan for one commit.
//!
//! *Comes in*: triggers that say start; a person's cancel or again; the ends of steps.
//! *Goes out*: a run with its plan, for `step`; a finished run, for `attestation`.
//! *Owns*: `run`, `run_retry`, `run_wish`; takes `project.run_number`.
//! *Never*: a plan that changes after it was made; green without a proof for every step.
//! *Before / After*: trigger / step.

mod again;
mod cancel;
mod finish;
mod freeze;
mod gather;
mod plan;
mod reconcile;
mod state;
mod store;
#[cfg(test)]
mod stories;

pub use again::{Again, again};
pub use cancel::{Cancelled, cancel};
pub use finish::{Proof, StepEnd, StoredArtifact, StoredLog, Verdict, finish, verdict};
pub use gather::Hands;
pub use plan::{Plan, PlannedService, PlannedStep, PlannedWork};
pub use reconcile::pass;
pub use state::{Cause, Error, InvalidTransition, Run, RunEvent, RunId, RunState, Trust};
pub use store::{
    Filter, Listed, Origin, by_id, by_number, cancel_asked, complaints, filtered, open_by_state,
    origin, recent, started, without_steps,
};
