//! The worker's own container engine: root's long-lived process, which outlives the agent.
//!
//! A Docker Engine with user namespaces runs in namespaces of its own: network (its only way out is a
//! relay to the configured registries), mounts and processes. When the first process of those
//! namespaces ends, however it ends, the kernel ends everything in them: no container, mount or
//! interface of ours is left on the host.
//!
//! *Comes in*: `engine.toml`. *Goes out*: a Unix socket that speaks the engine's API,
//! and one beside it by which the agent gets a cgroup for each pod.
//! *Owns*: its data and run folders, its cgroup.
//! *Never*: the host's engine or its networks; a route to the host.
//! *Before / After*: `config` / `engine`, which speaks through its socket.

mod cgroup;
mod config;
mod inside;
mod lock;
mod outside;
mod pods;
mod relay;
#[cfg(test)]
mod tests;

pub use config::{Config, File, RegistryAddress};
pub use inside::run as run_inside;
pub use outside::run;

/// What the engine's process cannot do.
#[derive(Debug, thiserror::Error)]
pub enum EngineHostError {
    /// A file or folder.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program of the host.
    #[error("start {program}: {source}{hint}")]
    Program {
        /// Which.
        program: &'static str,
        /// Why.
        source: std::io::Error,
        /// How to mend it.
        hint: &'static str,
    },
    /// Something that must hold does not.
    #[error("{0}")]
    Refused(String),
}

pub(crate) fn file_error(
    what: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> EngineHostError {
    let path = path.display().to_string();
    move |source| EngineHostError::File { what, path, source }
}
