//! What orchestrator and worker agree on: the pipeline language, the worker protocol, and what a
//! configuration file looks like.
//!
//! *Never*: I/O, async, a clock, randomness. Everything here is a value or a decision over values.

pub mod complaint;
pub mod configuration;
pub mod digest;
pub mod dockerfile;
pub mod image;
pub mod language;
pub mod level;
pub mod name;
pub mod protocol;
pub mod settings;
mod yaml;
