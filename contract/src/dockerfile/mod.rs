//! The Dockerfile, read before an engine sees it: what it names is known and pinned, and nothing in
//! it makes the engine fetch from elsewhere.
//!
//! *Comes in*: the file's bytes, and patterns of known registries. *Goes out*: a [`Dockerfile`] with
//! every outside image, or all complaints in the order of the file. *Owns*: how a Dockerfile is
//! read: as BuildKit of Docker 20.10 does, and what builders of other versions read differently is
//! refused. *Never*: the base image's own contents (its ONBUILD is seen by whoever pulls it).
//! *Before / After*: used when a plan is made, and again by the worker right before the build.

mod check;
mod lines;
mod missing;
mod rules;
mod state;
mod variables;
mod words;
#[cfg(test)]
mod tests;

pub use check::{DOCKERFILE_BYTES_MAX, check};
pub use missing::missing;
pub use rules::onbuild_base;
pub use state::{Base, Dockerfile, Stage};
