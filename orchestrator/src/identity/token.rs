//! Tokens of people for the API: `sp-token.<64 hex>`; only the hash is stored.

use super::actor::{Actor, Minted, PersonId};
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

/// Makes a token with this person's rights; it remembers who made it.
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
                let row = store::NewToken {
                    id: &row_id,
                    person: &person,
                    name: &name,
                    secret_hash: &hash,
                    made_by: &actor,
                    at,
                    expires_at,
                };
                store::insert_token(conn, row).await?;
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

/// Who calls with this token.
pub async fn of_token(ground: &Ground, token: &str) -> Result<Option<Caller>, IdentityError> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let mut conn = ground.db.reader().await?;
    let hash = Digest::of(token.as_bytes()).hex();
    let Some(row) = store::token(&mut conn, &hash, ground.now()).await? else {
        return Ok(None);
    };
    let store::TokenRow {
        id,
        person_id,
        name,
        display_name,
        made_by,
        made_by_id,
    } = row;
    let grants = store::grants(&mut conn, &person_id).await?;
    let minted = if made_by_id.as_deref() == Some(person_id.as_str()) {
        Minted::ByThemself
    } else {
        Minted::By(made_by.unwrap_or_else(|| "somebody".to_owned()))
    };
    let person = PersonId::parse(&person_id).map_err(|_| crate::db::Error::Inconsistent {
        table: "token",
        column: "person_id",
        id: id.clone(),
    })?;
    let actor = Actor::Token {
        id,
        person,
        name,
        minted,
    };
    Ok(Some(Caller::new(actor, display_name, grants)))
}
