//! Blobs: bytes by their SHA-256, in a folder.
//!
//! *Comes in*: bytes. *Goes out*: the same bytes by digest.
//! *Owns*: `data_dir/blobs/sha256/aa/bb/<hex>`.
//! *Never*: a name, a database row, a room.
//! *Before / After*: nothing / rooms whose rows name a blob, committed after the blob is durable.

mod folder;

pub use folder::{BlobError, Blobs, Received};
