//! Harness and stories: a real orchestrator, real repositories, a real registry, a worker that plays
//! a script.

pub mod browser;
pub mod crash;
pub mod database;
pub mod engine;
pub mod fault;
pub mod house;
pub mod images;
pub mod orchestrator;
pub mod people;
pub mod place;
pub mod ready_made;
pub mod registry;
pub mod repository;
pub mod routes;
pub mod running;
pub mod script;
pub mod sample;
pub mod screen;
pub mod snapshot;
pub mod story;
pub mod visitor;
pub mod worker;
pub mod worker_process;
pub mod yard;
