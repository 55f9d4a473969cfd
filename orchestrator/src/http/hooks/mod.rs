//! The entrance of deliveries: `POST /hooks/<hook>`. The hook says who its provider is.
//!
//! *Comes in*: a verified body. *Goes out*: one call of `delivery::receive`, and its answer.
//! *Never*: a body that is read before its signature holds.

pub mod receive;
