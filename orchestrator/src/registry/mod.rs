//! The registry: reading and writing manifests and blobs, and its token service.
//!
//! *Comes in*: repositories, digests, bytes. *Goes out*: the bytes that the registry holds; short tokens.
//! *Owns*: nothing.
//! *Never*: a room; trust in what the registry says of a digest: bytes are hashed here (P5).
//! *Before / After*: nothing / `image`, `attestation` and `promotion`; `http` hands out its tokens.

mod attach;
mod client;
mod copy;
mod error;
mod token;

pub use client::{Manifest, Registry, Tag};
pub use copy::{Children, children};
pub use error::RegistryError;
pub use token::{Access, Issuer, TOKEN_LIFETIME, libtrust_kid};
