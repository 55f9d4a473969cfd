//! The pass: requests what rules ask for, learns what gates want to know, tries them, applies what they
//! let through.

use super::apply::apply;
use super::authorise::authorise;
use super::fail::fail;
use super::learn::{learn, learn_ahead};
use super::rule::request_by_rule;
use super::state::{Hands, Promotion, PromotionError};
use super::store;
use crate::ground::Ground;
use crate::project;
use crate::reconcile::{Progress, problem};
use tracing::Instrument as _;

/// Promotions that are read at once; what is being applied beyond them waits for the next pass.
const ITEMS_MAX: i64 = 200;

/// Requests, authorises, applies.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, PromotionError> {
    let mut progress = Progress::Idle;
    let projects = project::list(&mut ground.db.reader().await?).await?;
    for project in &projects {
        let requested = request_by_rule(ground, project).await;
        progress = progress.or(noted(project.name.as_str(), requested));
    }
    progress = progress.or(learn_ahead(ground, hands, &projects).await?);
    progress = progress.or(ask_gates(ground, hands, ITEMS_MAX).await?);
    let applying = store::applying(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    for promotion in applying {
        let applied = apply_or_note(ground, hands, &promotion).instrument(span(&promotion));
        progress = progress.or(noted(promotion.id.as_str(), applied.await));
    }
    Ok(progress)
}

/// Asks the gate of every promotion that waits. What waits may wait for ever: with the oldest alone,
/// enough of them would keep all others from being asked about.
pub(super) async fn ask_gates(
    ground: &Ground,
    hands: &Hands,
    at_once: i64,
) -> Result<Progress, PromotionError> {
    let mut progress = Progress::Idle;
    let mut after = (i64::MIN, String::new());
    loop {
        let mut conn = ground.db.reader().await?;
        let waiting = store::waiting_everywhere(&mut conn, (after.0, &after.1), at_once).await?;
        drop(conn);
        let Some(last) = waiting.last() else {
            return Ok(progress);
        };
        after = (last.requested_at, last.id.to_string());
        progress = progress.or(learn(ground, hands, &waiting).await?);
        for promotion in waiting {
            let authorised = authorise(ground, &promotion.id).instrument(span(&promotion));
            progress = progress.or(noted(promotion.id.as_str(), authorised.await));
        }
    }
}

/// Every line about the promotion says which it is.
fn span(promotion: &Promotion) -> tracing::Span {
    tracing::info_span!("promotion", promotion.id = %promotion.id)
}

/// One bad item does not stop the others.
pub(super) fn noted<T: Default>(what: &str, result: Result<T, PromotionError>) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(what, error = problem(&error), "not decided yet");
        T::default()
    })
}

/// Applies it; what hinders is in its state for people, not only in the log.
async fn apply_or_note(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
) -> Result<Progress, PromotionError> {
    let error = match apply(ground, hands, promotion).await {
        Ok(progress) => return Ok(progress),
        Err(error) => error,
    };
    let (text, transient) = (problem(&error), error.is_transient());
    tracing::warn!(promotion.id = %promotion.id, error = text, transient, "not applied yet");
    let (ground_in, id) = (ground.clone(), promotion.id.clone());
    ground
        .db
        .write("promotion.not-applied", move |conn| {
            Box::pin(async move {
                // Read anew: the pass may have come as far as the tags before it failed.
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(Progress::Idle);
                };
                if !transient && fail(conn, &ground_in, &promotion, &text).await? {
                    return Ok(Progress::Moved);
                }
                store::set_progress(conn, &id, &text).await?;
                Ok(Progress::Idle)
            })
        })
        .await
}
