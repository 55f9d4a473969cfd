//! All SQL of people, sign-ins, sessions, tokens and grants.

use super::actor::{Actor, PersonId};
use super::role::{Grant, Role};
use crate::clock::At;
use crate::db::{Conn, Error};

/// A person as lists show them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PersonRow {
    /// Their id.
    pub id: String,
    /// The name that they sign in with.
    pub name: String,
    /// The name that people read.
    pub display_name: String,
}

impl PersonRow {
    /// The typed id.
    pub fn person_id(&self) -> Result<PersonId, Error> {
        PersonId::parse(&self.id).map_err(|_| Error::Inconsistent {
            table: "person",
            column: "id",
            id: self.id.clone(),
        })
    }
}

pub(super) struct NewRow<'a> {
    pub(super) id: &'a PersonId,
    pub(super) name: &'a str,
    pub(super) display_name: &'a str,
    pub(super) at: At,
}

pub(super) async fn insert_person(conn: &mut Conn, row: NewRow<'_>) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO person (id, name, display_name, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO NOTHING",
        row.id.as_str(),
        row.name,
        row.display_name,
        row.at.0
    )?;
    Ok(inserted == 1)
}

pub(super) async fn insert_login(
    conn: &mut Conn,
    id: &str,
    person: &PersonId,
    subject: &str,
    secret_hash: &str,
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO login (id, person_id, kind, subject, secret_hash, changed_at)
         VALUES ($1, $2, 'password', $3, $4, $5)",
        id,
        person.as_str(),
        subject,
        secret_hash,
        at.0
    )?;
    Ok(())
}

/// False when the address already belongs to somebody.
pub(super) async fn insert_email(
    conn: &mut Conn,
    id: &str,
    person: &PersonId,
    address: &str,
    verified_at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO email (id, person_id, address, verified_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (address) DO NOTHING",
        id,
        person.as_str(),
        address,
        verified_at.0
    )?;
    Ok(inserted == 1)
}

pub(super) async fn insert_grant(
    conn: &mut Conn,
    id: &str,
    person: &PersonId,
    grant: &Grant,
    at: At,
    by: &str,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO role_grant (id, person_id, role, project_id, granted_at, granted_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
        id,
        person.as_str(),
        grant.role.as_str(),
        &grant.project_id,
        at.0,
        by
    )?;
    Ok(())
}

pub(super) async fn grants(conn: &mut Conn, person: &str) -> Result<Vec<Grant>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, Option<String>),
        "SELECT role, project_id FROM role_grant WHERE person_id = $1 ORDER BY role",
        person
    )?;
    let parse = |(role, project_id): (String, Option<String>)| match Role::parse(&role) {
        Some(role) => Ok(Grant { role, project_id }),
        None => Err(Error::Inconsistent {
            table: "role_grant",
            column: "role",
            id: person.to_owned(),
        }),
    };
    rows.into_iter().map(parse).collect()
}

/// Person and password hash of a sign-in name; people who were disabled are not found.
pub(super) async fn login(
    conn: &mut Conn,
    subject: &str,
) -> Result<Option<(PersonRow, String)>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, String, String, String),
        "SELECT p.id, p.name, p.display_name, l.secret_hash FROM login l JOIN person p ON p.id = l.person_id
         WHERE l.kind = 'password' AND l.subject = $1 AND p.disabled_at IS NULL",
        subject
    )?;
    Ok(row.map(|(id, name, display_name, hash)| {
        (
            PersonRow {
                id,
                name,
                display_name,
            },
            hash,
        )
    }))
}

#[derive(sqlx::FromRow)]
pub(super) struct SessionRow {
    pub(super) person_id: String,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) csrf: String,
    pub(super) signed_in_at: i64,
}

pub(super) async fn insert_session(
    conn: &mut Conn,
    id: &str,
    person: &str,
    csrf: &str,
    at: At,
    expires_at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO session (id, person_id, csrf, created_at, signed_in_at, seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $4, $4, $5)",
        id,
        person,
        csrf,
        at.0,
        expires_at.0
    )?;
    Ok(())
}

pub(super) async fn session(
    conn: &mut Conn,
    id: &str,
    now: At,
) -> Result<Option<SessionRow>, Error> {
    crate::fetch_optional!(
        conn,
        SessionRow,
        "SELECT s.person_id, p.name, p.display_name, s.csrf, s.signed_in_at
         FROM session s JOIN person p ON p.id = s.person_id
         WHERE s.id = $1 AND s.expires_at > $2 AND p.disabled_at IS NULL",
        id,
        now.0
    )
}

pub(super) async fn delete_session(conn: &mut Conn, id: &str) -> Result<(), Error> {
    crate::execute!(conn, "DELETE FROM session WHERE id = $1", id)?;
    Ok(())
}

/// Sessions that are over are of no more use to anybody.
pub(super) async fn delete_expired_sessions(conn: &mut Conn, now: At) -> Result<(), Error> {
    crate::execute!(conn, "DELETE FROM session WHERE expires_at <= $1", now.0)?;
    Ok(())
}

pub(super) struct NewToken<'a> {
    pub(super) id: &'a str,
    pub(super) person: &'a PersonId,
    pub(super) name: &'a str,
    pub(super) secret_hash: &'a str,
    pub(super) made_by: &'a Actor,
    pub(super) at: At,
    pub(super) expires_at: At,
}

pub(super) async fn insert_token(conn: &mut Conn, row: NewToken<'_>) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO token (id, person_id, name, secret_hash, created_at, expires_at, made_by, made_by_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        row.id,
        row.person.as_str(),
        row.name,
        row.secret_hash,
        row.at.0,
        row.expires_at.0,
        row.made_by.to_string(),
        row.made_by.person().map(PersonId::as_str)
    )?;
    Ok(())
}

/// A token with its person.
#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    pub(super) id: String,
    pub(super) person_id: String,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) made_by: Option<String>,
    pub(super) made_by_id: Option<String>,
}

/// The token of this hash, when it is good and its person not disabled.
pub(super) async fn token(
    conn: &mut Conn,
    secret_hash: &str,
    now: At,
) -> Result<Option<TokenRow>, Error> {
    crate::fetch_optional!(
        conn,
        TokenRow,
        "SELECT t.id, t.person_id, p.name, p.display_name, t.made_by, t.made_by_id
         FROM token t JOIN person p ON p.id = t.person_id
         WHERE t.secret_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > $2
           AND p.disabled_at IS NULL",
        secret_hash,
        now.0
    )
}

/// A person by the name that they sign in with.
pub async fn person_by_name(conn: &mut Conn, name: &str) -> Result<Option<PersonRow>, Error> {
    crate::fetch_optional!(
        conn,
        PersonRow,
        "SELECT id, name, display_name FROM person WHERE name = $1",
        name
    )
}

/// The person with this id, disabled ones too.
pub(super) async fn person_by_id(
    conn: &mut Conn,
    id: &PersonId,
) -> Result<Option<PersonRow>, Error> {
    crate::fetch_optional!(
        conn,
        PersonRow,
        "SELECT id, name, display_name FROM person WHERE id = $1",
        id.as_str()
    )
}

/// The person to whom a verified address belongs: how authors and committers are matched.
pub async fn person_by_email(conn: &mut Conn, address: &str) -> Result<Option<PersonRow>, Error> {
    crate::fetch_optional!(
        conn,
        PersonRow,
        "SELECT p.id, p.name, p.display_name FROM email e JOIN person p ON p.id = e.person_id
         WHERE e.address = $1 AND e.verified_at IS NOT NULL",
        super::add::normal_address(address)
    )
}

/// The name that people read, by id.
pub async fn person_name(conn: &mut Conn, id: &str) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT display_name FROM person WHERE id = $1",
        id
    )?;
    Ok(row.map(|(name,)| name))
}

/// Everybody, by name, with their roles (`admin`, `developer shop`, …) in words.
pub async fn people(conn: &mut Conn) -> Result<Vec<(PersonRow, Vec<Grant>)>, Error> {
    let rows = crate::fetch_all!(
        conn,
        PersonRow,
        "SELECT id, name, display_name FROM person WHERE disabled_at IS NULL ORDER BY name"
    )?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let grants = grants(conn, &row.id).await?;
        all.push((row, grants));
    }
    Ok(all)
}

/// Who holds a role in a project, by name: the candidates for an approver's seat.
pub async fn people_with_role(
    conn: &mut Conn,
    role: Role,
    project_id: &str,
) -> Result<Vec<PersonRow>, Error> {
    crate::fetch_all!(
        conn,
        PersonRow,
        "SELECT DISTINCT p.id, p.name, p.display_name FROM person p
         JOIN role_grant g ON g.person_id = p.id
         WHERE g.role = $1 AND (g.project_id IS NULL OR g.project_id = $2) AND p.disabled_at IS NULL
         ORDER BY p.name",
        role.as_str(),
        project_id
    )
}
