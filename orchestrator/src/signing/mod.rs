//! Signing: the signer, a process of its own that alone holds the provenance and release keys, and
//! the client by which the server asks it.
//!
//! *Comes in*: statements, cosign payloads, the manifest that they are about, what permits a signature.
//! *Goes out*: signatures, each once in the signer's own journal; public keys.
//! *Owns*: the signer's folder: `keys/`, `journal`. Keys of the server lie in `data_dir/keys/`.
//! *Never*: a room; a database; a private key outside the process that made it.
//! *Before / After*: `vault` / `attestation` and `promotion`, which ask it for signatures; `init`
//! records its public keys.

mod client;
mod journal;
mod judge;
mod keystore;
mod protocol;
mod rate;
mod server;
mod signer;

pub use client::{SignerClient, SigningError};
pub use journal::{Journal, JournalError, Record};
pub use keystore::{KeyRole, KeyStore, KeyStoreError, PublicKey};
pub use protocol::{Grounds, PassedRun, Refusal, RefusalCode, Signed};
pub use server::{ServeError, serve};
pub use signer::{Signer, SignerConfig, SignerError, init};
