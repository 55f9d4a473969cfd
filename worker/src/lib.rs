//! The agent: leases steps from an orchestrator and drives one container engine.
//!
//! *Comes in*: `worker.toml`, an identity, signed jobs.
//! *Goes out*: logs, artifacts, images in quarantine, signed reports: all of them claims.
//! *Never*: a database, a signing key of the instance, an inbound port, a forge credential; a secret
//! longer than one lease.

pub mod cli;
pub mod config;
pub mod lifecycle;
pub mod agent;
pub mod identity;
pub mod control_plane;
pub mod lease;
pub mod spool;
pub mod redact;
pub mod step;
pub mod image;
pub mod scan;
pub mod sandbox;
pub mod engine;
pub mod engine_host;
pub mod clock;
