//! Who works: the workers, their certificate authority and how they are let in.
//!
//! *Comes in*: enrolment tokens, signing requests, hellos, client certificates.
//! *Goes out*: a [`Worker`], the CA, the key that signs jobs.
//! *Owns*: `worker`, `enrolment_token`.
//! *Never*: a stage; a worker's private key; a token in clear in the database.
//! *Before / After*: identity (who may mint tokens) / step, which leases to workers.

pub mod ca;
mod enrol;
mod envelope;
mod hello;
mod keys;
mod standing;
mod state;
mod store;
mod token;

pub use enrol::{Enrolment, enrol};
pub use envelope::{EnvelopeKey, verify_envelope};
pub use hello::hello;
pub use keys::Keys;
pub use standing::{drain, revoke};
pub use state::{Capability, EnrolmentTokenId, Error, Standing, Worker, WorkerId};
pub use store::{by_certificate, by_id, by_name, list, seen};
pub use token::{Minted, mint};
