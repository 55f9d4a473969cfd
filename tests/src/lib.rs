//! Harness and stories: a real orchestrator, real repositories, a worker that plays a script.

pub mod crash;
pub mod images;
pub mod orchestrator;
pub mod routes;
pub mod snapshot;
pub mod visitor;
pub mod worker;
pub mod yard;
