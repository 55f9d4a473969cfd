//! One unit of work on one worker.
//!
//! *Comes in*: runs with a plan; claims, heartbeats, log chunks, artifacts and reports of workers.
//! *Goes out*: jobs; steps with their end; `run::finish` when the last one has ended.
//! *Owns*: `step`, `step_need`, `lease`, `log_chunk`, `artifact`, `report`; `data_dir/logs`.
//! *Never*: a write under a lease that has passed on; `passed` on a worker's word alone.
//! *Before / After*: run / image and finding, which answer what a reported step was worth.

mod advance;
mod artifact;
mod claim;
mod end;
mod job;
mod lease;
mod log;
mod prove;
mod reconcile;
mod registry;
mod report;
mod settle;
mod state;
mod store;
#[cfg(test)]
mod stories;

pub use artifact::{ArtifactAsk, ArtifactName, ArtifactStored, BadArtifactName};
pub use claim::{Claimed, claim, wait};
pub use lease::{Beat, heartbeat, restarted, source};
pub use log::{Appended, Chunk, Grown, LogEnd, Logs, Slice};
pub use reconcile::pass;
pub use registry::{Right, right};
pub use report::{Reported, report};
pub use state::{
    Error, Hands, Lease, LeaseKey, Observation, ObservedImages, Step, StepEvent, StepId, StepState,
    Verdict, Verdicts,
};
pub use store::{
    ArtifactRow, PastLease, artifact, artifacts, by_name, claimed, leases, list, open_by_state,
    reported,
};
