//! Moves a promotion from one state to the next, in the caller's transaction.

use super::state::{Event, Promotion, PromotionError, PromotionState};
use super::store;
use crate::audit::{self, Record};
use crate::db::Conn;
use crate::ground::Ground;
use crate::identity::Actor;

/// Settles what an event makes of it. False, and nothing written, when it is in no state for that: another
/// pass, or a person, was faster.
pub(super) async fn advance(
    conn: &mut Conn,
    promotion: &Promotion,
    event: Event,
    settings_version: i64,
) -> Result<bool, PromotionError> {
    match promotion.state.clone().after(event) {
        Ok(to) => Ok(store::set_state(conn, promotion, &to, settings_version).await?),
        Err(_) => Ok(false),
    }
}

/// Ends it without its having been applied, with the audit entry that says so.
pub(super) async fn end(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    event: Event,
    actor: &Actor,
) -> Result<bool, PromotionError> {
    let Ok(to) = promotion.state.clone().after(event) else {
        return Ok(false);
    };
    let (kind, cause) = match &to {
        PromotionState::Failed { cause, .. } => ("promotion.failed", cause.clone()),
        PromotionState::Void { cause, .. } => ("promotion.void", cause.clone()),
        PromotionState::Superseded { cause, .. } => ("promotion.superseded", cause.clone()),
        PromotionState::Requested
        | PromotionState::Waiting
        | PromotionState::Applying { .. }
        | PromotionState::Applied { .. } => return Ok(false),
    };
    if !store::set_state(conn, promotion, &to, promotion.settings_version).await? {
        return Ok(false);
    }
    let record = Record::new(kind, format!("promotion:{}", promotion.id), actor)
        .project(&promotion.project_id)
        .with("environment", promotion.environment.as_str())
        .with_sensitive("cause", cause);
    audit::append(conn, ground.now(), &*ground.ids, record).await?;
    Ok(true)
}

/// Ends one that waited while a later release came for its environment.
pub(super) async fn end_overtaken(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    cause: String,
) -> Result<bool, PromotionError> {
    let at = ground.now().0;
    let event = Event::Overtaken { cause, at };
    end(conn, ground, promotion, event, &Actor::System).await
}
