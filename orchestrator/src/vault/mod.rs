//! Secrets at rest: everything that must be kept and not be read is sealed under the master key.
//!
//! *Comes in*: a master key from a file, a command or the environment; clear bytes.
//! *Goes out*: sealed bytes, and the clear ones again for who holds the same purpose and context.
//! *Owns*: nothing; who seals stores.
//! *Never*: a room; a master key on a command line, in a log or in an error.
//! *Before / After*: nothing / `signing` and `instance` keep keys with it, `delivery` hook secrets.

mod master;
mod seal;

pub use master::{MasterKey, MasterKeyError};
pub use seal::{SEAL_OVERHEAD, Sealer, Unsealable};
