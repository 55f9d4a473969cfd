//! What outsiders verify: DSSE, in-toto and SLSA statements, cosign payloads, approvals, and every
//! URI of our own.
//!
//! *Never*: a server, a database, a clock. `sallyport-verify` is built on nothing else.

pub mod approval;
pub mod cosign;
pub mod decision;
pub mod dsse;
pub mod keys;
pub mod names;
pub mod oci;
pub mod provenance;
pub mod statement;
