//! Names and errors of the engine's room.

use contract::image::ImageRef;
use std::io;

/// On every container, volume and image that is ours.
pub const OWN_LABEL: &str = "dev.sallyport.worker";
/// On what belongs to one lease: `<step>/<fence>`.
pub const LEASE_LABEL: &str = "dev.sallyport.lease";
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
    /// A request failed.
    pub fn call(what: &'static str, source: bollard::errors::Error) -> Self {
        Self::Call { what, source }
    }

    /// A file could not be used.
    pub fn file(what: &'static str, source: io::Error) -> Self {
        Self::File { what, source }
    }
}
