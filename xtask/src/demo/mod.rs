//! `cargo demo`: the whole way on one machine, for a person to click through or, with `--check`, with no person.
//!
//! *Comes in*: a machine with Rust and Debian's archive. *Goes out*: a running Sallyport with a sample project, or a verdict.
//! *Owns*: one folder that is kept (`place::kept`) and one folder a run, both written down in the run's ledger.
//! *Never*: a process, namespace, mount or cgroup that is not in the ledger before it exists.

mod browser;
mod check;
mod clean;
mod deliveries;
mod driver;
mod elevate;
mod house;
mod kills;
mod ledger;
mod people;
mod place;
mod program;
mod run;
mod sample;
mod start;
mod times;
mod traces;
mod verify;
pub(crate) mod watch;

pub(crate) use deliveries::Deliveries;
pub(crate) use house::House;
pub(crate) use kills::kills;
pub(crate) use place::kept;
pub(crate) use run::{Houses, Options, check_in_browser, pictures, run};
pub(crate) use sample::{Filling, Sample};
pub(crate) use start::Demo as Running;
