//! All SQL of approvals. A statement is never updated; only its use or its end is noted.

use super::state::{Approval, ApprovalId};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::identity::PersonId;
use contract::digest::Digest;
use evidence::approval::{Answer, Approval as Statement};

/// False when the person has a standing answer already.
pub(super) async fn insert(
    conn: &mut Conn,
    id: &ApprovalId,
    person: &PersonId,
    statement: &Statement,
    bytes: &[u8],
) -> Result<bool, Error> {
    let decision = match statement.answer {
        Answer::Approve => "approve",
        Answer::Reject => "reject",
    };
    let inserted = crate::execute!(
        conn,
        "INSERT INTO approval (id, subject_kind, subject_id, person_id, role, decision, reason,
                               statement, statement_digest, given_at, expires_at)
         VALUES ($1, 'promotion', $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (subject_kind, subject_id, person_id) WHERE void_at IS NULL DO NOTHING",
        id.as_str(),
        &statement.promotion,
        person.as_str(),
        &statement.role,
        decision,
        &statement.reason,
        bytes,
        Digest::of(bytes).to_string(),
        statement.given_at,
        statement.expires_at
    )?;
    Ok(inserted == 1)
}

/// The answers about a promotion that were neither used nor made void, oldest first.
pub async fn standing(conn: &mut Conn, promotion: &str) -> Result<Vec<Approval>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, String, Vec<u8>, String),
        "SELECT id, person_id, statement, statement_digest FROM approval
         WHERE subject_kind = 'promotion' AND subject_id = $1 AND void_at IS NULL
         ORDER BY given_at, id",
        promotion
    )?;
    rows.into_iter()
        .map(|(id, person, bytes, digest)| {
            let wrong = |column| Error::Inconsistent {
                table: "approval",
                column,
                id: id.clone(),
            };
            if Digest::of(&bytes).to_string() != digest {
                return Err(wrong("statement"));
            }
            Ok(Approval {
                id: ApprovalId::parse(&id).map_err(|_| wrong("id"))?,
                person: PersonId::parse(&person).map_err(|_| wrong("person_id"))?,
                statement: Statement::read(&bytes).map_err(|_| wrong("statement"))?,
                bytes,
            })
        })
        .collect()
}

/// An approval is used once.
pub async fn use_up(conn: &mut Conn, id: &ApprovalId, at: At) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE approval SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND void_at IS NULL",
        id.as_str(),
        at.0
    )?;
    Ok(updated == 1)
}

/// What the answer was about has changed.
pub async fn void(conn: &mut Conn, id: &ApprovalId, reason: &str, at: At) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE approval SET void_at = $2, void_reason = $3
         WHERE id = $1 AND used_at IS NULL AND void_at IS NULL",
        id.as_str(),
        at.0,
        reason
    )?;
    Ok(updated == 1)
}
