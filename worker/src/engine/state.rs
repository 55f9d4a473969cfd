//! Names and errors of the engine's room.

use contract::image::ImageRef;
use std::io;

/// On every container and volume that is ours: the worker's name.
pub(super) const OWN_LABEL: &str = "dev.sallyport.worker";
/// Beside it: the instance that the worker belongs to. Another instance may have a worker of the same name.
pub(super) const INSTANCE_LABEL: &str = "dev.sallyport.instance";
/// On what belongs to one pod: its name.
pub const POD_LABEL: &str = "dev.sallyport.pod";
/// On a container in which something of a step runs; the pod's first one runs our own program.
pub const STEP_LABEL: &str = "dev.sallyport.step";
/// Images that are built here, or are here for single steps, have a name below it, which says whose they are;
/// no registry has it.
pub(super) const BUILT_REGISTRY: &str = "sallyport-built.local";
/// The pod's program, static, compiled with the worker.
pub const POD_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sallyport-pod"));

/// The engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No engine there.
    #[error("could not reach the container engine at {socket}")]
    Connect {
        /// Its socket.
        socket: String,
        /// Why.
        #[source]
        source: bollard::errors::Error,
    },
    /// One request to it.
    #[error("could not {what}")]
    Call {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: bollard::errors::Error,
    },
    /// An image could not be brought in.
    #[error("could not pull {image}")]
    Pull {
        /// The image.
        image: Box<ImageRef>,
        /// Why.
        #[source]
        source: bollard::errors::Error,
    },
    /// The engine says nothing any more in the middle of something.
    #[error("could not {what}: {secs} s passed without a word")]
    Silent {
        /// The operation.
        what: &'static str,
        /// For how long.
        secs: u64,
    },
    /// What the engine says does not fit together.
    #[error("the engine lost sight of a container: {0}")]
    Lost(&'static str),
    /// The engine's process makes no such pod.
    #[error("could not make the pod: {0}")]
    Refused(String),
    /// The engine has less than the pod asks for.
    #[error("the engine is too small: {0}")]
    TooMuch(String),
    /// A file of ours.
    #[error("could not {what}: a file of the worker cannot be used")]
    File {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A push ended without saying what it pushed.
    #[error("the engine did not say which digest it pushed")]
    NoDigest,
}

impl EngineError {
    /// The status with which the engine itself answered, and its words.
    pub fn answered(&self) -> Option<(u16, &str)> {
        match self {
            Self::Call {
                source:
                    bollard::errors::Error::DockerResponseServerError {
                        status_code,
                        message,
                    },
                ..
            } => Some((*status_code, message)),
            Self::Call { .. }
            | Self::Connect { .. }
            | Self::Pull { .. }
            | Self::Silent { .. }
            | Self::Lost(_)
            | Self::Refused(_)
            | Self::TooMuch(_)
            | Self::File { .. }
            | Self::NoDigest => None,
        }
    }

    /// A request failed.
    pub fn call(what: &'static str, source: bollard::errors::Error) -> Self {
        Self::Call { what, source }
    }

    /// A file could not be used.
    pub fn file(what: &'static str, source: io::Error) -> Self {
        Self::File { what, source }
    }
}
