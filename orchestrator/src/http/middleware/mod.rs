//! What holds for every request at the public entrance.
//!
//! *Comes in*: requests. *Goes out*: the same, or a refusal; answers with the headers that browsers
//! obey.
//! *Never*: who is asking; a room.

mod headers;
mod host;

pub use headers::security_headers;
pub use host::public_host_only;
