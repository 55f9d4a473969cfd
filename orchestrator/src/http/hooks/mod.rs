//! The entrance of deliveries: `POST /hooks/<hook>`. The hook says who its provider is.
//!
//! *Comes in*: a verified body. *Goes out*: one call of `delivery::receive`, and its answer.
//! *Owns*: what a forge is answered.
//! *Never*: a body that is understood before its signature holds.
//! *Before / After*: `extract` / `delivery`.

pub mod receive;
