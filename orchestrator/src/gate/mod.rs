//! What has to be true before an environment, and whether it is.
//!
//! *Comes in*: a release, the environment that it is to enter, the evidence of now, the repository's
//! mirror to learn who worked on it.
//! *Goes out*: a [`Judgement`] that lists every condition; a [`GatePassed`], which only this room makes.
//! *Owns*: `gate_decision`, `contribution`, `contributor`, `contribution_commit`.
//! *Never*: the outside world while it judges; evidence from memory: it is read in the transaction that writes the
//! promotion's intent.
//! *Before / After*: `attestation` / `promotion`.

mod contributors;
mod editors;
mod evaluate;
mod evidence_of;
mod passed;
mod seats;
mod seats_of;
mod state;
mod store;

pub use contributors::{Entering, learn};
pub use evaluate::evaluate;
pub use evidence_of::gather;
pub use passed::{GatePassed, Pass, Since, closed_since, pass, targets};
pub use seats::{Candidate, Commits, Exclusion, Seats};
pub use seats_of::seats_now;
pub use state::{
    Condition, ConditionKind, ConditionState, Evidence, GateError, Holding, Judgement, Placement,
    Requester, Subject,
};
pub use store::{conditions, decision};
