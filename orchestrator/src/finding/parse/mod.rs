//! Foreign reports, read from bytes.
//!
//! *Comes in*: the bytes of a SARIF, JUnit or CycloneDX file, as a step left them.
//! *Goes out*: results, test cases and packages in words of ours, or [`Unreadable`].
//! *Owns*: the bounds on what a report may hold.
//! *Never*: I/O; a text of the report that was not cleaned; a part that cannot be read taken for
//! nothing found.
//! *Before / After*: `blob` / `finding::verdict`, `finding::fingerprint`.

pub mod cyclonedx;
pub mod junit;
pub mod sarif;
mod text;

#[cfg(test)]
mod mangled;

pub use text::Unreadable;
pub(super) use text::{clean, clean_line};
