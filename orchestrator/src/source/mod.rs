//! Sources: a bare mirror of each project's repository, read at a commit.
//!
//! *Comes in*: a repository's address, refs, commit ids. *Goes out*: commits, files, changed paths,
//! source archives.
//! *Owns*: `data_dir/mirrors/<project id>.git`.
//! *Never*: a room; a working tree; a hook or filter of a repository; unbounded reading: what lies in
//! a repository is an outsider's.
//! *Before / After*: nothing / `trigger`, `run`.

mod archive;
mod error;
mod fetch;
mod mirror;
mod read;

pub use archive::{Archive, SOURCE_BYTES_MAX};
pub use error::SourceError;
pub use mirror::Mirrors;
pub use read::{CommitInfo, Contribution, Contributor, FileAt, ListedCommit};
