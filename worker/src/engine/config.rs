//! `[engine]` of `worker.toml`.

use serde::Deserialize;
use std::path::PathBuf;

/// Which engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The engine's Unix socket.
    pub socket: PathBuf,
    /// While it pulls or pushes, the engine tells of its progress; after so long without a word the
    /// registry counts as down.
    #[serde(default = "registry_timeout_secs")]
    pub registry_timeout_secs: u64,
}

/// Of one large layer an engine may say nothing for a while.
fn registry_timeout_secs() -> u64 {
    120
}

impl Config {
    /// The engine at this socket, with nothing else said.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            registry_timeout_secs: registry_timeout_secs(),
        }
    }
}
