//! What has to be true before an environment, and whether it is.
//!
//! *Comes in*: a release, the environment that it is to enter, the evidence of now.
//! *Goes out*: a [`Judgement`] that lists every condition; a [`GatePassed`], which only this room makes.
//! *Owns*: `gate_decision`.
//! *Never*: the outside world; evidence from memory: it is read in the transaction that writes the
//! promotion's intent.
//! *Before / After*: `attestation` / `promotion`.

mod evaluate;
mod evidence_of;
mod passed;
mod seats;
mod state;
mod store;

pub use evaluate::evaluate;
pub use evidence_of::gather;
pub use passed::{GatePassed, Pass, pass};
pub use seats::{Candidate, Exclusion, Seats};
pub use state::{
    Condition, ConditionKind, ConditionState, Evidence, GateError, Judgement, Placement, Subject,
};
pub use store::{conditions, decision};
