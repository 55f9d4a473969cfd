//! The findings of one run, as lists show them.
//!
//! *Comes in*: a run and what is wanted of its findings.
//! *Goes out*: rows, worst first, from a cursor on.
//! *Owns*: nothing. *Never*: a write; a lost lease's report.
//! *Before / After*: see the room.

mod store;

pub use store::{FindingRow, Wanted, choices, findings, fingerprints, newest_run};
