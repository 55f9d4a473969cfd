//! All SQL of the instance and its keys.

use super::state::Instance;
use crate::clock::At;
use crate::db::{Conn, Error};

/// This instance, once init has made it.
pub async fn instance(conn: &mut Conn) -> Result<Option<Instance>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, String, String),
        "SELECT id, public_url, log_origin FROM instance"
    )?;
    Ok(row.map(|(id, public_url, log_origin)| Instance {
        id,
        public_url,
        log_origin,
    }))
}

pub(super) async fn insert_instance(
    conn: &mut Conn,
    instance: &Instance,
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO instance (id, public_url, log_origin, created_at) VALUES ($1, $2, $3, $4)",
        &instance.id,
        &instance.public_url,
        &instance.log_origin,
        at.0
    )?;
    Ok(())
}

/// A public key with the time for which it counts.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeyRow {
    /// First 16 hex of SHA-256(SPKI).
    pub id: String,
    /// SubjectPublicKeyInfo, DER.
    pub public: Vec<u8>,
    /// From when.
    pub from_at: i64,
    /// Until when it signed.
    pub until_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// The keys of a role, newest first.
pub async fn keys_of_role(conn: &mut Conn, role: &str) -> Result<Vec<KeyRow>, Error> {
    crate::fetch_all!(
        conn,
        KeyRow,
        "SELECT id, public, from_at, until_at, revoked_at FROM key
         WHERE role = $1 ORDER BY from_at DESC, id",
        role
    )
}

pub(super) async fn insert_key(
    conn: &mut Conn,
    id: &str,
    role: &str,
    public: &[u8],
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO key (id, role, public, from_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING",
        id,
        role,
        public,
        at.0
    )?;
    Ok(())
}
