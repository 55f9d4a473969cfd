//! What is wrong in a file that a person wrote, where, and how to mend it.
//!
//! *Comes in*: findings of the readers and rules of the three languages (pipeline, settings,
//! Dockerfile). *Goes out*: [`Complaint`]s in the order of the file, as text, JSON and lines to mark.
//! *Owns*: every complaint's code. *Never*: a control character of the foreign file in its output.
//! *Before / After*: everything that parses a file is before; pages, API and command line after.

mod code;
mod collect;
mod render;
mod source;
mod state;
mod visible;

pub use code::Code;
pub use collect::{COMPLAINTS_MAX, Complaints};
pub(crate) use source::{Span, Spanned};
pub use state::{Complaint, Mark, Severity};
pub(crate) use visible::push_visible;
pub(crate) use visible::quoted;
pub use visible::visible;
