//! What holds for every request, whoever asks.
//!
//! *Comes in*: requests. *Goes out*: the same with an id and a span, or a refusal; answers with the
//! headers that browsers obey.
//! *Owns*: the content security policy, the request's id.
//! *Never*: who is asking; a room.
//! *Before / After*: the listener / `extract`.

mod headers;
mod host;
mod request;

pub use headers::security_headers;
pub use host::public_host_only;
pub use request::{RequestId, request_id};
