//! `/api/v1`: JSON in and out, one file an endpoint's subject.
//!
//! *Comes in*: a caller and a document. *Goes out*: one call into a room, and its answer or a
//! [`Problem`](super::Problem).
//! *Owns*: the shapes of its documents and the codes of its problems (docs/api.md).
//! *Never*: a page; a handler that a page shares.
//! *Before / After*: `extract` / the room that is asked.

pub mod hooks;
pub mod projects;
pub mod promotions;
pub mod runs;
pub mod users;
pub mod workers;
pub mod advisories;
