//! Who is asking: people, their sign-ins, sessions, tokens and roles.
//!
//! *Comes in*: names with passwords, session cookies, tokens, a peer's uid.
//! *Goes out*: an [`Actor`], a [`Caller`] with what it may do.
//! *Owns*: `person`, `login`, `email`, `session`, `token`, `role_grant`.
//! *Never*: a stage; a password, cookie or token in clear in the database or a log; a person's name in an
//! audit entry.
//! *Before / After*: nothing / every room that stores who did something.

mod actor;
mod add;
mod caller;
mod named;
mod password;
mod role;
mod session;
mod sign_in;
mod store;
mod token;

pub use actor::{Actor, Minted, PersonId};
pub use add::{AddOutcome, NewPerson, add, normal_address};
pub use caller::{Caller, Reach};
pub use named::{with_ids, with_names};
pub use password::Passwords;
pub use role::{Grant, Permission, Role};
pub use session::{COOKIE_BYTES, FRESH, Session, of_cookie, sign_out};
pub use sign_in::{SignInOutcome, freshened, prove, sign_in};
pub use store::{
    PersonRow, people, people_with_role, person_by_email, person_by_name, person_name,
};
pub use token::{MadeToken, make_token, of_token};

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database.
    #[error("read or write who people are")]
    Db(#[from] crate::db::Error),
    /// Hashing a password.
    #[error("hash a password: {0}")]
    Hash(String),
}
