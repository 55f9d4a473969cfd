//! What becomes of an answer that was given: a gate uses it, or it ends.

use super::state::{Approval, ApprovalError, ApprovalEvent, ApprovalState, InvalidTransition};
use super::store;
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::identity::Actor;

/// A gate lets through on it, in the caller's transaction; the promotion's audit entry names it.
pub async fn use_up(conn: &mut Conn, approval: &Approval, at: At) -> Result<(), ApprovalError> {
    let invalid = |source| ApprovalError::Transition {
        id: approval.id.clone(),
        source,
    };
    let event = ApprovalEvent::Use { at: at.0 };
    let used = approval.state.clone().after(event).map_err(invalid)?;
    if store::set_state(conn, &approval.id, &used).await? {
        Ok(())
    } else {
        Err(invalid(InvalidTransition))
    }
}

/// What it was about has changed, or it has expired: it says nothing any more, and the person may look
/// again. False when it was used or ended before.
pub async fn void(
    conn: &mut Conn,
    at: At,
    ids: &dyn IdSource,
    project_id: &str,
    approval: &Approval,
    reason: &str,
) -> Result<bool, ApprovalError> {
    let event = ApprovalEvent::End {
        at: at.0,
        reason: reason.to_owned(),
    };
    let Ok(void @ ApprovalState::Void { .. }) = approval.state.clone().after(event) else {
        return Ok(false);
    };
    if !store::set_state(conn, &approval.id, &void).await? {
        return Ok(false);
    }
    let subject = format!("promotion:{}", approval.statement.promotion);
    let record = Record::new("approval.void", subject, &Actor::System)
        .project(project_id)
        .with("approval", approval.id.as_str())
        .with("reason", reason);
    audit::append(conn, at, ids, record).await?;
    Ok(true)
}
