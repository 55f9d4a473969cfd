//! What happened and what happens now, read across rooms for people.
//!
//! *Comes in*: what a person wants to see, and which projects they reach.
//! *Goes out*: rows for pages, newest first, from a cursor on; nothing that they may not see.
//! *Owns*: nothing.
//! *Never*: a write; a row that is filtered after it was counted: what is wanted and what may be seen
//! is part of the one statement that limits.
//! *Before / After*: every stage / pages.

pub mod brought;
pub mod finding;
mod state;
mod store;
#[cfg(test)]
mod stories;

pub use state::{Cursor, Decided, NotSearchable, Outcome, Search, Wanted};
pub use store::{
    Decision, DeliveryRow, EnvironmentRow, LeaseRow, OpenRow, PromotionRow, ReleaseRun, Repeat,
    RunRow, SecretRow, decisions, deliveries, environments, failed, findings_of_run, images_of_run,
    leases, open_in_environments, promotions_of_run, repeats, run_of_release, running, secret,
};
