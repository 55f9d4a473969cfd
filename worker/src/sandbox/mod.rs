//! What a step's containers may do, and the pod that they share.
//!
//! *Comes in*: a container that a step asks for.
//! *Goes out*: [`Pod`], [`Running`], [`Ended`]; the self-test's [`Isolation`](contract::protocol::Isolation).
//! *Owns*: the hardened profile (`policy`, pure: no I/O, no clock).
//! *Never*: a network but loopback; root; a capability; a host mount; an engine socket; an image's
//! own word about user, entrypoint or volumes.
//! *Before / After*: `engine` / `step`.

mod container;
mod owned;
mod pod;
mod policy;
mod selftest;
mod spares;
mod state;

pub use container::Running;
pub use pod::{Pod, PodSpec};
pub use selftest::{RuleBroken, broken, selftest};
pub use spares::Spares;
pub use state::{Container, Ended, STEP_USER, SandboxError, Sink, Stream, WorkArea};
