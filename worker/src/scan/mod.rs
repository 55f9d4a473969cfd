//! Making the inputs of scanners.
//!
//! *Comes in*: an OCI layout whose every blob has the digest it is named by.
//! *Goes out*: a tar of regular files, for a tool that looks for secrets.
//! *Owns*: nothing.
//! *Never*: a link followed; a device made; a path outside; more than its limits.
//! *Before / After*: `image` / `step`.

pub mod layers;
