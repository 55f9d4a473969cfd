//! Stores a person's answer with the exact bytes that it is about.

use super::state::{ApprovalError, ApprovalId};
use super::store;
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::identity::{Actor, PersonId};
use contract::digest::Digest;
use evidence::approval::{Answer, Approval as Statement};

/// Who answers, and what.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The person.
    pub person: PersonId,
    /// Their name, for the audit entry.
    pub name: String,
    /// The project's id.
    pub project_id: String,
    /// What they say.
    pub statement: Statement,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveOutcome {
    /// It stands.
    Given(ApprovalId),
    /// They have answered already.
    AlreadyAnswered,
}

/// Stores the answer in the caller's transaction, which has just asked the gate whether it counts.
pub async fn give(
    conn: &mut Conn,
    at: At,
    ids: &dyn IdSource,
    answered: &Answered,
) -> Result<GiveOutcome, ApprovalError> {
    let bytes = answered.statement.to_bytes()?;
    let id = ApprovalId::new(ids);
    if !store::insert(conn, &id, &answered.person, &answered.statement, &bytes).await? {
        return Ok(GiveOutcome::AlreadyAnswered);
    }
    let actor = Actor::Person {
        id: answered.person.clone(),
        name: answered.name.clone(),
    };
    let kind = match answered.statement.answer {
        Answer::Approve => "approval.approved",
        Answer::Reject => "approval.rejected",
    };
    let subject = format!("promotion:{}", answered.statement.promotion);
    let record = Record::new(kind, subject, &actor)
        .project(&answered.project_id)
        .with("approval", id.as_str())
        .with("statement", Digest::of(&bytes).to_string());
    audit::append(conn, at, ids, record).await?;
    Ok(GiveOutcome::Given(id))
}
