//! Base and tool images, made on this machine from Debian's archive and hash-pinned PyPI packages.
//!
//! *Comes in*: the recipe (package lists, the lock of wheels). *Goes out*: OCI images in the cache and,
//! pushed, in a registry by digest. *Never*: a public container registry, a clock, a random order: the same
//! recipe and the same Debian archive give the same digests.

mod layer;
mod oci;
mod push;
mod recipe;
mod rootfs;
mod wheel;

pub(crate) use oci::Built;
pub(crate) use push::push;
pub(crate) use recipe::{build_all, is_cached, made_twice_alike, scratch_prefix};
pub(crate) use wheel::{Lock, download};
