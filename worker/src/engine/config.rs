//! `[engine]` of `worker.toml`.

use serde::Deserialize;
use std::path::PathBuf;

/// Which engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The engine's Unix socket.
    pub socket: PathBuf,
}
