//! The one container engine that a worker drives.
//!
//! *Comes in*: a socket.
//! *Goes out*: [`Engine`]: images by digest, sweeping, facts about the engine.
//! *Owns*: the labels by which our containers and volumes are known, and the name by which built images are.
//! *Never*: another's containers; a tag pulled; a right kept; an engine of the host when the
//! operator gave us our own.
//! *Before / After*: `config` / `sandbox`, `image`.

mod client;
mod config;
mod pods;
mod pull;
mod state;
mod sweep;

pub use client::Engine;
pub use config::Config;
pub use pods::{PODS_SOCKET, PodName};
pub use pull::ImageStart;
pub use state::{EngineError, OWN_LABEL, POD_LABEL, POD_PROGRAM, STEP_LABEL};
