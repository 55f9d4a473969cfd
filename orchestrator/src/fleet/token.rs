//! Mints an enrolment token: single use, short, its secret stored as a hash.

use super::ca::Ca;
use super::state::{EnrolmentTokenId, Error};
use super::store;
use crate::audit::{self, Record};
use crate::clock::At;
use crate::ground::Ground;
use crate::id::random_hex;
use crate::identity::Actor;
use contract::digest::Digest;
use contract::level::Level;
use std::time::Duration;

/// A token lives long enough to be carried to another machine by hand, and no longer.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Entropy of the secret.
const SECRET_BYTES: usize = 32;

/// A token in clear: shown once, never stored, never logged.
pub struct Minted {
    /// `sp-enrol.<id>.<secret>.<hex SHA-256 of the CA's public key>`.
    pub text: String,
    /// When it ends.
    pub expires_at: At,
}

/// Mints an enrolment token. `level` is the most that the worker may claim of how it holds containers
/// apart.
pub async fn mint(ground: &Ground, ca: &Ca, actor: &Actor, level: Level) -> Result<Minted, Error> {
    let (now, ids, actor) = (ground.now(), ground.ids.clone(), actor.clone());
    let id = EnrolmentTokenId::new(ids.as_ref());
    let secret = random_hex(ids.as_ref(), SECRET_BYTES);
    let secret_hash = Digest::of(secret.as_bytes()).hex();
    let expires_at = now.plus(LIFETIME);
    let text = format!("sp-enrol.{id}.{secret}.{}", ca.pin().hex());
    ground
        .db
        .write("fleet.mint-token", move |conn| {
            Box::pin(async move {
                let created_by = actor.to_string();
                let new = store::NewToken {
                    id: &id,
                    secret_hash: &secret_hash,
                    created_by: &created_by,
                    expires_at,
                    level: &level,
                };
                store::insert_token(conn, new, now).await?;
                let record = Record::new(
                    "fleet.token-minted",
                    format!("enrolment-token:{id}"),
                    &actor,
                )
                .with("expires_at", expires_at.to_string())
                .with("level", level.to_string());
                audit::append(conn, now, ids.as_ref(), record).await?;
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(Minted { text, expires_at })
}
