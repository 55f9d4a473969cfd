//! This instance: who it is, where it is reached, and its keys.
//!
//! *Comes in*: `sallyport init`. *Goes out*: [`Instance`], the keys that the server works with.
//! *Owns*: `instance`, `key`; `data_dir/keys`, `data_dir/instance.lock`.
//! *Never*: the signer's private keys; a private key in the database.
//! *Before / After*: nothing / everything that signs or is signed.

mod init;
mod keys;
mod lock;
mod state;
mod store;

pub use init::{FirstAdmin, InitOutcome, init};
pub use keys::{REGISTRY_CERTIFICATE, ServerKeys};
pub use lock::Lock;
pub use state::{Instance, InstanceError};
pub use store::{KeyRow, instance, keys_of_role};
