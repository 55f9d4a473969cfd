//! The pages that people see: server-rendered, readable without scripts.
//!
//! *Comes in*: a session and a path. *Goes out*: HTML in the one design (`web/`).
//! *Owns*: `web/` and what a page shows of a room's words.
//! *Never*: SQL; a decision; a secret; anything inline that the CSP would have to allow.
//! *Before / After*: `extract` / the room that is asked.

mod approvals;
mod attested;
mod audit;
mod deliveries;
mod delivery;
mod environments;
mod error;
mod findings;
mod frame;
mod home;
mod log;
mod names;
mod parts;
mod promotion;
mod query;
mod run;
mod runs;
mod sign_in;
mod statics;
mod throttle;
mod words;
mod workers;

pub use approvals::approvals;
pub use audit::audit_entries;
pub use deliveries::deliveries;
pub use delivery::{delivery_page, payload};
pub use environments::{environments, request};
pub use error::{PageError, fallback, told_as_page};
pub use findings::findings;
pub use home::home;
pub use log::{events, log, raw};
pub use names::name;
pub use promotion::{answer, promotion, withdraw};
pub use run::{again, artifact, cancel, run};
pub use runs::{project, runs};
pub use sign_in::{sign_in, sign_in_form, sign_out};
pub use statics::file;
pub use throttle::Throttle;
pub use workers::workers;

use frame::{Frame, Tab, page};
use parts::{Copied, Look, Status, When, icon};
use statics::asset;
