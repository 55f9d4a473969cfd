//! What a promotion brings into its environment, commit by commit.
//!
//! *Comes in*: a promotion, or two commits.
//! *Goes out*: what the environment held before; the commits between, and who worked on them.
//! *Owns*: nothing. *Never*: a write; the repository: what the gate has read of it is stored.
//! *Before / After*: see the room.

mod store;

pub use store::{Before, Commit, Contributor, before, commits, contributors, counted};
