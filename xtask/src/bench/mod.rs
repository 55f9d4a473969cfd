//! `cargo bench-…`: figures about the whole, measured on this machine and kept as text with their method.
//!
//! *Comes in*: the demo's house with programs built for release. *Goes out*: `docs/measured/<what>.txt`.
//! *Never*: a verdict. A figure says what was seen on one machine; tests do not measure time.

mod deliveries;
mod demo;
mod engine;
mod memory;
mod record;
mod run;
mod steps;

pub(crate) use record::Record;
pub(crate) use run::{Options, run};
