//! All SQL of the audit log's tables. There is no UPDATE and no DELETE of an entry.

use super::entry::{AuditId, ENTRY_BYTES_MAX, Record};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::id::IdSource;

/// Writes one entry in the caller's transaction.
pub async fn append(
    conn: &mut Conn,
    at: At,
    ids: &dyn IdSource,
    record: Record,
) -> Result<AuditId, Error> {
    let id = AuditId::new(ids);
    append_as(conn, at, id.clone(), ids, record).await?;
    Ok(id)
}

/// Writes one entry under an id that was made before, so that a row can name it in one statement.
pub async fn append_as(
    conn: &mut Conn,
    at: At,
    id: AuditId,
    ids: &dyn IdSource,
    record: Record,
) -> Result<(), Error> {
    let sealed = record.seal(at, id, ids);
    if sealed.bytes.is_empty() || sealed.bytes.len() > ENTRY_BYTES_MAX {
        return Err(Error::Inconsistent {
            table: "audit_entry",
            column: "entry",
            id: sealed.id.into(),
        });
    }
    crate::execute!(
        conn,
        "INSERT INTO audit_entry (id, entry, at, type, subject, project_id, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        sealed.id.as_str(),
        &sealed.bytes,
        sealed.at.0,
        sealed.kind,
        &sealed.subject,
        &sealed.project_id,
        &sealed.actor
    )?;
    for commitment in &sealed.commitments {
        crate::execute!(
            conn,
            "INSERT INTO commitment (audit_id, field, salt, value) VALUES ($1, $2, $3, $4)",
            sealed.id.as_str(),
            commitment.field,
            &commitment.salt,
            &commitment.value
        )?;
    }
    Ok(())
}

/// An entry as lists show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// When, µs since 1970 UTC.
    pub at: i64,
    /// `<room>.<what happened>`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// `<thing>:<id>`.
    pub subject: String,
    /// Who.
    pub actor: String,
    /// The entry's bytes.
    pub entry: Vec<u8>,
}

/// The entries about one thing, oldest first.
pub async fn by_subject(conn: &mut Conn, subject: &str, limit: i64) -> Result<Vec<Row>, Error> {
    crate::fetch_all!(
        conn,
        Row,
        "SELECT id, at, type, subject, actor, entry FROM audit_entry
         WHERE subject = $1 ORDER BY at, id LIMIT $2",
        subject,
        limit
    )
}

/// The newest entries, newest first.
pub async fn newest(conn: &mut Conn, limit: i64) -> Result<Vec<Row>, Error> {
    crate::fetch_all!(
        conn,
        Row,
        "SELECT id, at, type, subject, actor, entry FROM audit_entry
         ORDER BY at DESC, id DESC LIMIT $1",
        limit
    )
}
