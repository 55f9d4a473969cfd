//! The control plane: from a delivery to a promotion. ARCHITECTURE.md is the map.

// Machinery: knows no room.
pub mod clock;
pub mod id;
pub mod network;
pub mod ground;
pub mod kill;
pub mod db;
pub mod reconcile;
pub mod metrics;
pub mod telemetry;
pub mod lifecycle;
pub mod config;

// Hands: know no room.
pub mod blob;
pub mod registry;
pub mod source;
pub mod vault;
pub mod signing;

// Side rooms: name no stage.
pub mod audit;
pub mod identity;
pub mod fleet;
pub mod approval;
pub mod instance;
pub mod project;

// The stages, in the order of the flow: each may name those above it, never those below.
pub mod delivery;
pub mod trigger;
pub mod run;
pub mod step;
pub mod image;
pub mod finding;
pub mod attestation;
pub mod gate;
pub mod promotion;

// Reads across the stages, for people.
pub mod history;

// The whole.
pub mod app;
pub mod flow;
pub mod http;
pub mod cli;
