//! Does a delivery start anything? One decision a (delivery, ref), with its reason.
//!
//! *Comes in*: accepted deliveries. *Goes out*: triggers: start, or skip and why.
//! *Owns*: `trigger`, `trigger_retry`; what lists show of a delivery (its ref, commit and sender).
//! *Never*: policy from the commit under test; a broken pipeline file hidden (its run says so).
//! *Before / After*: `delivery` / `run`.

mod evaluate;
mod gather;
mod reconcile;
mod state;
mod store;
#[cfg(test)]
mod stories;

pub use evaluate::{Facts, FileFacts, evaluate};
pub use reconcile::pass;
pub use state::{Decision, Hands, SkipReason, TriggerError, TriggerId};
pub use store::{RetryRow, TriggerRow, of_delivery, retry_of};
