//! Foreign reports, read from bytes. Nothing here does I/O; everything is bounded.

pub mod cyclonedx;
pub mod junit;
pub mod sarif;
mod text;

#[cfg(test)]
mod mangled;

pub use text::Unreadable;
pub(super) use text::{clean, clean_line};
