//! Images as bytes: fetched from a registry into a layout, built by the engine, pushed.
//!
//! *Comes in*: an image by digest and a right for its repository; a Dockerfile and its context.
//! *Goes out*: [`Layout`], every blob checked; a pushed digest, which is a claim.
//! *Owns*: the layout's folder.
//! *Never*: a tag trusted; a blob used before its hash is known; a right kept.
//! *Before / After*: `engine` / `step`, `scan`.

mod bases;
mod context;
mod fetch;
mod make;

pub use bases::{bases, brings_onbuild};
pub use context::{ContextError, Prepared, prepare};
pub use fetch::{FetchError, Layer, LayerKind, Layout, fetch};
pub use make::{Build, BuildError, build, forget, name, push};
