//! Blobs: bytes by their SHA-256, in a folder.
//!
//! *Comes in*: bytes. *Goes out*: the same bytes by digest.
//! *Owns*: `data_dir/blobs/sha256/aa/bb/<hex>`.
//! *Never*: a name, a database row, a room.
//! A row that names a blob is committed after the blob is durable; orphans are swept.

mod folder;

pub use folder::{BlobError, Blobs, Received};
