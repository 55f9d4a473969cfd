//! All SQL of approvals. A statement is never updated; only its use or its end is noted.

use super::state::{Approval, ApprovalId, ApprovalState};
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

/// The answers about a promotion that are not void, oldest first: those that wait for the gate, and
/// those that it was opened with.
pub async fn standing(conn: &mut Conn, promotion: &str) -> Result<Vec<Approval>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, String, Vec<u8>, String, Option<i64>),
        "SELECT id, person_id, statement, statement_digest, used_at FROM approval
         WHERE subject_kind = 'promotion' AND subject_id = $1 AND void_at IS NULL
         ORDER BY given_at, id",
        promotion
    )?;
    rows.into_iter()
        .map(|(id, person, bytes, digest, used_at)| {
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
                state: match used_at {
                    Some(at) => ApprovalState::Used { at },
                    None => ApprovalState::Standing,
                },
            })
        })
        .collect()
}

/// An answer is used or ended once: false when that was before.
pub(super) async fn set_state(
    conn: &mut Conn,
    id: &ApprovalId,
    state: &ApprovalState,
) -> Result<bool, Error> {
    let (used_at, void_at, reason) = match state {
        ApprovalState::Standing => (None, None, None),
        ApprovalState::Used { at } => (Some(*at), None, None),
        ApprovalState::Void { at, reason } => (None, Some(*at), Some(reason.as_str())),
    };
    let updated = crate::execute!(
        conn,
        "UPDATE approval SET used_at = $2, void_at = $3, void_reason = $4
         WHERE id = $1 AND used_at IS NULL AND void_at IS NULL",
        id.as_str(),
        used_at,
        void_at,
        reason
    )?;
    Ok(updated == 1)
}
