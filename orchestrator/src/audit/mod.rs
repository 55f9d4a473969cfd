//! What happened: entries whose bytes are fixed when they are written.
//!
//! *Comes in*: a record of one act, in the transaction of the act.
//! *Goes out*: entries, verbatim.
//! *Owns*: `audit_entry`, `commitment`.
//! *Never*: an update or a deletion; a stage; a clear value of a sensitive field in an entry.
//! *Before / After*: every room writes here / the sequencer and the log over them.

mod entry;
mod store;

pub use entry::{AuditId, ENTRY_BYTES_MAX, Record};
pub use store::{Row, Wanted, append, append_as, by_subject, newest};
