//! Keeps what arrived at the hooks, verbatim.
//!
//! *Comes in*: requests at the hooks, from forges and from repositories of this house.
//! *Goes out*: accepted deliveries for `trigger`, refusals for auditors; both counted durably.
//! *Owns*: `hook`, `hook_secret`, `delivery`, `refusal`.
//! *Never*: parsing before the signature holds; a decision what a delivery starts; a refused body.
//! *Before / After*: `project` / `trigger`.

mod event;
mod fold;
mod hook;
mod intake;
mod payload;
mod provider;
mod receive;
mod reconcile;
mod refuse;
mod signed;
mod state;
mod store;
#[cfg(test)]
mod stories;

pub use event::{
    GitBody, GitRef, Push, Pushed, REFS_MAX, RefChange, Understood, is_ref_name, understand,
};
pub use hook::{AddHook, AddedHook, add_hook, disable_hook, rotate_hook};
pub use intake::{BodyRoom, Intake};
pub use payload::payload;
pub use provider::{key_of_git, sign_git};
pub use receive::receive;
pub use reconcile::{flush, pass};
pub use refuse::refuse;
pub use signed::{Refused, Request, SignedBody};
pub use state::{
    DeliveryError, DeliveryId, HookId, InvalidSecret, Provider, Received, RefusalId, RefusalReason,
};
pub use store::{
    BodyAt, DeliveryRow, HookRow, RefusalRow, body, consume, delivery, hook_row, hooks_of_project,
    refusal,
};
