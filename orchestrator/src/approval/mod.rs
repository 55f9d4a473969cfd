//! Who said yes or no, to what exactly.
//!
//! *Comes in*: a person's answer with the exact statement that it is about.
//! *Goes out*: the standing answers about one thing.
//! *Owns*: `approval`.
//! *Never*: whether an answer counts (its gate says that); a stage; an answer that was changed.
//! *Before / After*: `identity` / `gate`.

mod end;
mod give;
mod state;
mod store;

pub use end::{use_up, void};
pub use give::{Answered, GiveOutcome, give};
pub use state::{
    Approval, ApprovalError, ApprovalEvent, ApprovalId, ApprovalState, InvalidTransition,
};
pub use store::standing;
