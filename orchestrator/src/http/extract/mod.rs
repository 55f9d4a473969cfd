//! What a handler must hold before it runs: who is asking.
//!
//! *Comes in*: a request's head. *Goes out*: [`ApiCaller`], [`SignedIn`], [`Signed`]; where it came from.
//! *Owns*: cookies and bearer tokens as they stand in a request.
//! *Never*: a decision about what they may do: that is the handler's question to the caller.
//! *Before / After*: `middleware` / `api`, `pages`, `hooks`.

mod address;
mod caller;
mod signed_body;
mod signed_in;

pub use address::client_address;
pub use caller::{ApiCaller, Peer};
pub use signed_body::{Signed, id_reused};
pub use signed_in::{SignedIn, clear_cookie, cookie_name, opened_at, session_cookie};
