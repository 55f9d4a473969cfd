//! The orchestrator, as the worker meets it.
//!
//! *Comes in*: the worker entrance's address and the worker's identity.
//! *Goes out*: [`ControlPlane`] (enrol, hello, claim) and [`LeaseClient`] (everything under a lease).
//! *Owns*: the TLS settings: exactly one CA is believed, never the machine's list.
//! *Never*: an inbound port; plain http; a redirect followed; a repeat without a bound.
//! *Before / After*: `identity` / `lease`, `agent`.

mod call;
mod client;
mod pin;
mod retry;

pub use call::{CallError, Said};
pub use client::{ControlPlane, LeaseClient};
pub use pin::{InvalidChain, TlsError};
pub use retry::Backoff;
