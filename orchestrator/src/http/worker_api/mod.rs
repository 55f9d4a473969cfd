//! `/worker/v1`: the entrance for workers, under TLS of our own CA.
//!
//! *Comes in*: the worker protocol's messages (`contract::protocol`). *Goes out*: one call into
//! `fleet` or `step` each, and its answer or a `Refusal`.
//! *Owns*: which certificate speaks for which lease.
//! *Never*: an answer without a client certificate, but to enrol; a page; plain http.
//! *Before / After*: a worker's `control_plane` / `fleet`, `step`.

pub mod artifact;
pub mod claim;
pub mod enrol;
pub mod heartbeat;
pub mod hello;
mod identity;
pub mod log;
mod message;
mod refused;
pub mod registry_token;
pub mod report;
pub mod source;
mod version;

pub use identity::{Leaseholder, WorkerIdentity};
pub use message::Message;
pub use refused::Refused;
pub use version::protocol_version;

use crate::flow::Bells;
use crate::ground::Ground;
use crate::registry::Issuer;
use crate::{fleet, step};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the worker entrance is given.
#[derive(Clone)]
pub struct Entrance {
    /// Database, clock, ids.
    pub ground: Ground,
    /// CA and envelope key.
    pub keys: Arc<fleet::Keys>,
    /// What `step` is given.
    pub hands: step::Hands,
    /// Issues tokens of the registry.
    pub issuer: Arc<Issuer>,
    /// Who wakes whom.
    pub bells: Bells,
    /// Is cancelled when the process stops: claims that wait are answered.
    pub stop: CancellationToken,
}
