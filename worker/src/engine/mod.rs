//! The one container engine that a worker drives.
//!
//! *Comes in*: a socket.
//! *Goes out*: [`Engine`]: images by digest, sweeping, facts about the engine.
//! *Owns*: the labels by which our containers and volumes are known, and the name by which images are that are here for one step.
//! *Never*: another's containers; a tag pulled; a right kept; an engine of the host when the
//! operator gave us our own.
//! *Before / After*: `config` / `sandbox`, `image`.

mod borrow;
mod client;
mod config;
mod pods;
mod pull;
mod state;
mod sweep;
#[cfg(test)]
mod stand_in;

pub use client::Engine;
pub use config::Config;
pub use pods::{HERE_EVERY, PODS_SOCKET, PodName};
pub use pull::ImageStart;
pub use state::{EngineError, POD_LABEL, POD_PROGRAM, STEP_LABEL};
