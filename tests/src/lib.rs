//! Harness and stories: a real orchestrator, real repositories, a worker that plays a script.

pub mod browser;
pub mod crash;
pub mod images;
pub mod orchestrator;
pub mod routes;
pub mod sample;
pub mod snapshot;
pub mod visitor;
pub mod worker;
pub mod yard;
