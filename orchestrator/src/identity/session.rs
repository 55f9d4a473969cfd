//! Sessions: a 256-bit token in the cookie, its hash in the table (DECISIONS 10).

use super::actor::{Actor, PersonId};
use super::caller::Caller;
use super::{IdentityError, store};
use crate::clock::At;
use crate::ground::Ground;
use contract::digest::Digest;
use std::time::Duration;

/// 256 bits: nobody guesses one.
pub const COOKIE_BYTES: usize = 32;
/// A working day: people sign in each morning.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// What counts as a fresh sign-in, for an approval (DECISIONS 15).
pub const FRESH: Duration = Duration::from_secs(300);

/// A session that was found.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who it is.
    pub caller: Caller,
    /// What forms of this session must carry.
    pub csrf: String,
    /// When the password was last given.
    pub signed_in_at: At,
}

impl Session {
    /// Whether the password was given within the last minutes.
    pub fn is_fresh(&self, now: At) -> bool {
        now.since(self.signed_in_at) <= FRESH
    }
}

/// The session that a cookie opens.
pub async fn of_cookie(ground: &Ground, cookie: &str) -> Result<Option<Session>, IdentityError> {
    let mut conn = ground.db.reader().await?;
    let id = id_of(cookie);
    let Some(row) = store::session(&mut conn, &id, ground.now()).await? else {
        return Ok(None);
    };
    let grants = store::grants(&mut conn, &row.person_id).await?;
    let person = PersonId::parse(&row.person_id).map_err(|_| crate::db::Error::Inconsistent {
        table: "session",
        column: "person_id",
        id,
    })?;
    Ok(Some(Session {
        caller: Caller::new(
            Actor::Person {
                id: person,
                name: row.name,
            },
            row.display_name,
            grants,
        ),
        csrf: row.csrf,
        signed_in_at: At(row.signed_in_at),
    }))
}

/// Ends the session that a cookie opens.
pub async fn sign_out(ground: &Ground, cookie: &str) -> Result<(), IdentityError> {
    let id = id_of(cookie);
    ground
        .db
        .write("identity.sign-out", move |conn| {
            Box::pin(async move { Ok(store::delete_session(conn, &id).await?) })
        })
        .await
}

pub(super) fn id_of(cookie: &str) -> String {
    Digest::of(cookie.as_bytes()).hex()
}
