//! Tokens of people for the API: `sp-token.<64 hex>`; only the hash is stored.

use super::actor::{Actor, PersonId};
use super::caller::Caller;
use super::{IdentityError, store};
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::id::random_hex;
use contract::digest::Digest;
use std::time::Duration;
use zeroize::Zeroizing;

const PREFIX: &str = "sp-token.";
/// A token that nobody renews should not outlive its purpose.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// A token, shown once.
pub struct MadeToken {
    /// Its id.
    pub id: String,
    /// The text.
    pub secret: Zeroizing<String>,
}

/// Makes a token that acts as this person.
pub async fn make_token(
    ground: &Ground,
    actor: &Actor,
    person: &PersonId,
    name: &str,
) -> Result<MadeToken, IdentityError> {
    let secret = Zeroizing::new(format!("{PREFIX}{}", random_hex(&*ground.ids, 32)));
    let hash = Digest::of(secret.as_bytes()).hex();
    let id = ground.ids.uuid().to_string();
    let (at, ids, actor) = (ground.now(), ground.ids.clone(), actor.clone());
    let (row_id, person, name) = (id.clone(), person.clone(), name.to_owned());
    ground
        .db
        .write("identity.make-token", move |conn| {
            Box::pin(async move {
                let expires_at = at.plus(LIFETIME);
                store::insert_token(conn, &row_id, person.as_str(), &name, &hash, at, expires_at)
                    .await?;
                let record = Record::new("identity.token-made", format!("person:{person}"), &actor)
                    .with("token", row_id)
                    .with("name", name);
                audit::append(conn, at, &*ids, record).await?;
                Ok::<(), IdentityError>(())
            })
        })
        .await?;
    Ok(MadeToken { id, secret })
}

/// The person whose token this is.
pub async fn of_token(ground: &Ground, token: &str) -> Result<Option<Caller>, IdentityError> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let mut conn = ground.db.reader().await?;
    let hash = Digest::of(token.as_bytes()).hex();
    let Some(person) = store::token_owner(&mut conn, &hash, ground.now()).await? else {
        return Ok(None);
    };
    let grants = store::grants(&mut conn, &person.id).await?;
    let actor = Actor::Person {
        id: person.person_id()?,
        name: person.name,
    };
    Ok(Some(Caller::new(actor, person.display_name, grants)))
}
