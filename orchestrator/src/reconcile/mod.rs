//! The machinery that runs the stages' passes.
//!
//! *Comes in*: stages with their pass and their bell. *Goes out*: calls of the passes.
//! *Owns*: when a pass runs.
//! *Never*: anything about a stage but its name.
//! *Before / After*: `lifecycle` / `flow`, which names the stages.

mod bell;
mod health;
mod lanes;
mod patience;
mod stage;

pub use bell::{Bell, Gong};
pub use health::Health;
pub use lanes::{LANES_MAX, Lanes};
pub use patience::{ATTEMPTS_MAX, next_attempt, problem};
pub use stage::{Pass, Progress, Stage, run};
