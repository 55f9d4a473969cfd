//! One step's work, from the leased job to what the report says about it.
//!
//! *Comes in*: a checked [`contract::protocol::Job`], its lease, an engine.
//! *Goes out*: [`Outcome`](contract::protocol::Outcome) and [`Claims`]; a log; uploaded artifacts.
//! *Owns*: what runs in which order for each kind of step.
//! *Never*: a decision whether a finding matters; a step without a pod; a right of the registry
//! that outlives its use.
//! *Before / After*: `agent`, `lease`, `spool` / `sandbox`, `engine`, `image`, `scan`.

mod bench;
mod analyze;
pub(crate) mod archive;
mod build;
mod keep;
mod run;
mod scan;
mod test;
mod tool;
mod work;

pub use archive::ArchiveError;
pub use bench::{Bench, Claims, Left, Stop, chain};
pub use work::work;
