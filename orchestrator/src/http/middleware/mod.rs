//! What holds for every request at the public entrance.
//!
//! *Comes in*: requests. *Goes out*: the same, or a refusal; answers with the headers that browsers
//! obey.
//! *Owns*: the content security policy.
//! *Never*: who is asking; a room.
//! *Before / After*: the listener / `extract`.

mod headers;
mod host;

pub use headers::security_headers;
pub use host::public_host_only;
