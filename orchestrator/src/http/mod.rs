//! The entrances: pages, API and hooks; workers; `admin.sock`.
//!
//! *Comes in*: requests. *Goes out*: one call into a room each, and its answer.
//! *Owns*: the URL table (`router.rs`), the words of refusals (`problem.rs`).
//! *Never*: SQL; a decision; an inner error's text to a client.
//! *Before / After*: people, forges, workers / every room.

pub mod api;
mod connections;
pub mod extract;
pub mod health;
pub mod hooks;
pub mod middleware;
pub mod pages;
pub mod problem;
pub mod registry_token;
pub mod router;
pub mod serve;
pub mod worker_api;

pub use problem::Problem;
