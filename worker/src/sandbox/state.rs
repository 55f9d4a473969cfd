//! What is asked of a sandbox and how it ends.

use crate::engine::EngineError;
use contract::image::ImageRef;
use std::collections::BTreeMap;

/// The uid and gid of every container that is not told another one.
pub const STEP_USER: u32 = 65532;

/// A container as a step asks for it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its image, already in the engine.
    pub image: ImageRef,
    /// What runs in it, in exec form; never empty.
    pub command: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub workdir: String,
    /// Its uid; never 0.
    pub user: Option<u32>,
    /// Folders beside `/tmp` and `/work` that it may write to, each a sized tmpfs.
    pub writable: Vec<String>,
    /// How it sees the pod's work area.
    pub work: WorkArea,
}

/// How a container sees `/work`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkArea {
    /// Not at all.
    None,
    /// As an input.
    ReadOnly,
    /// As its own.
    Writable,
}

/// Which of its streams a container printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Takes what a container prints, as it comes.
pub type Sink = Box<dyn FnMut(Stream, &[u8]) + Send>;

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// It met its memory limit.
    pub out_of_memory: bool,
}

/// The sandbox could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is asked for is against the policy.
    #[error("the sandbox does not allow it: {0}")]
    NotAllowed(String),
    /// The image, or what is asked of it, cannot be started.
    #[error("the container cannot be started: {0}")]
    NotStarted(String),
    /// What goes into the work area is larger than it.
    #[error("the work area of {0} bytes is too small for what goes into it (`resources.work`)")]
    Full(u64),
    /// The step removed what was to be read back.
    #[error("{0} is not there any more, so nothing of it can be kept")]
    Gone(String),
    /// More came back than the work area can hold.
    #[error("the work area gives back more than {0} bytes")]
    TooMuch(u64),
}
