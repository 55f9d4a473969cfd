//! Takes back a request: whoever asked for a promotion, and nobody else, while it waits for its gate.

use super::advance::end;
use super::state::{Event, PromotionError, PromotionId};
use super::store;
use crate::ground::Ground;
use crate::identity::{Actor, Caller, Permission};

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawOutcome {
    /// It is void.
    Withdrawn,
    /// There is no such promotion, or they may not see it.
    NoSuchPromotion,
    /// Somebody else asked for it, or the settings' rule did.
    NotTheirs,
    /// It waits no more: it is being applied, or has ended.
    NotOpen,
}

/// Withdraws a promotion on behalf of whoever asked for it.
pub async fn withdraw(
    ground: &Ground,
    caller: &Caller,
    id: &PromotionId,
) -> Result<WithdrawOutcome, PromotionError> {
    let (ground_in, caller, id) = (ground.clone(), caller.clone(), id.clone());
    ground
        .db
        .write("promotion.withdraw", move |conn| {
            Box::pin(async move {
                let found = store::by_id(conn, &id).await?;
                let seen = found.filter(|p| caller.may(Permission::See, &p.project_id));
                let Some(promotion) = seen else {
                    return Ok(WithdrawOutcome::NoSuchPromotion);
                };
                if !promotion.is_asked_by(&caller.actor) {
                    return Ok(WithdrawOutcome::NotTheirs);
                }
                let who = match &caller.actor {
                    Actor::Person { name, .. } => name.clone(),
                    Actor::Token { .. }
                    | Actor::Worker { .. }
                    | Actor::Host { .. }
                    | Actor::Hook { .. }
                    | Actor::System => caller.actor.to_string(),
                };
                let event = Event::Voided {
                    cause: format!("{}{who}", store::WITHDRAWN),
                    at: ground_in.now().0,
                };
                let ended = end(conn, &ground_in, &promotion, event, &caller.actor).await?;
                Ok(if ended {
                    WithdrawOutcome::Withdrawn
                } else {
                    WithdrawOutcome::NotOpen
                })
            })
        })
        .await
}
