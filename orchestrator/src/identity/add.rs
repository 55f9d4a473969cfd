//! Adds a person, with address, roles and first password: an administrator's act.

use super::actor::{Actor, PersonId};
use super::password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, Passwords};
use super::role::Grant;
use super::{IdentityError, store};
use crate::audit::{self, Record};
use crate::ground::Ground;
use contract::name::Name;
use zeroize::Zeroizing;

/// A person to be.
pub struct NewPerson {
    /// The name that they sign in with.
    pub name: Name,
    /// The name that people read.
    pub display_name: String,
    /// An address that the administrator vouches for.
    pub email: Option<String>,
    /// What they may do.
    pub grants: Vec<Grant>,
    /// The first password.
    pub password: Zeroizing<String>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddOutcome {
    /// The person is there.
    Added(PersonId),
    /// The name is taken.
    NameTaken,
    /// The address belongs to somebody.
    EmailTaken,
    /// The password is too short or too long.
    PasswordLength {
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
}

/// Adds a person.
pub async fn add(
    ground: &Ground,
    passwords: &Passwords,
    actor: &Actor,
    new: NewPerson,
) -> Result<AddOutcome, IdentityError> {
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&new.password.len()) {
        return Ok(AddOutcome::PasswordLength {
            min: PASSWORD_BYTES_MIN,
            max: PASSWORD_BYTES_MAX,
        });
    }
    let hash = passwords.hash(new.password.clone()).await?;
    let rows = Rows {
        id: PersonId::new(&*ground.ids),
        name: new.name,
        display_name: new.display_name,
        email: new.email.as_deref().map(normal_address),
        grants: new.grants,
        hash,
    };
    let (actor, ground_in) = (actor.clone(), ground.clone());
    let outcome = ground
        .db
        .write("identity.add", move |conn| {
            Box::pin(async move {
                match insert(conn, &ground_in, &actor, &rows).await? {
                    AddOutcome::Added(id) => Ok(AddOutcome::Added(id)),
                    // Undone as a whole: an error rolls the savepoint back.
                    refused @ (AddOutcome::NameTaken
                    | AddOutcome::EmailTaken
                    | AddOutcome::PasswordLength { .. }) => Err(Undo::Refused(refused)),
                }
            })
        })
        .await;
    match outcome {
        Ok(added) => Ok(added),
        Err(Undo::Refused(refused)) => Ok(refused),
        Err(Undo::Db(error)) => Err(IdentityError::Db(error)),
    }
}

#[derive(Clone)]
struct Rows {
    id: PersonId,
    name: Name,
    display_name: String,
    email: Option<String>,
    grants: Vec<Grant>,
    hash: String,
}

enum Undo {
    Refused(AddOutcome),
    Db(crate::db::Error),
}

impl From<crate::db::Error> for Undo {
    fn from(error: crate::db::Error) -> Self {
        Self::Db(error)
    }
}

async fn insert(
    conn: &mut crate::db::Conn,
    ground: &Ground,
    actor: &Actor,
    rows: &Rows,
) -> Result<AddOutcome, crate::db::Error> {
    let at = ground.now();
    let new_id = || ground.ids.uuid().to_string();
    let row = store::NewRow {
        id: &rows.id,
        name: rows.name.as_str(),
        display_name: &rows.display_name,
        at,
    };
    if !store::insert_person(conn, row).await? {
        return Ok(AddOutcome::NameTaken);
    }
    store::insert_login(
        conn,
        &new_id(),
        &rows.id,
        rows.name.as_str(),
        &rows.hash,
        at,
    )
    .await?;
    if let Some(address) = &rows.email
        && !store::insert_email(conn, &new_id(), &rows.id, address, at).await?
    {
        return Ok(AddOutcome::EmailTaken);
    }
    let by = actor.to_string();
    for grant in &rows.grants {
        store::insert_grant(conn, &new_id(), &rows.id, grant, at, &by).await?;
    }
    let roles: Vec<&str> = rows
        .grants
        .iter()
        .map(|grant| grant.role.as_str())
        .collect();
    let mut record = Record::new("identity.added", format!("person:{}", rows.id), actor)
        .with("roles", roles)
        .with_sensitive("name", rows.name.as_str());
    if let Some(address) = &rows.email {
        record = record.with_sensitive("email", address.clone());
    }
    audit::append(conn, at, &*ground.ids, record).await?;
    Ok(AddOutcome::Added(rows.id.clone()))
}

/// Addresses are compared without regard to case, as forges do.
pub fn normal_address(address: &str) -> String {
    address.trim().to_lowercase()
}
