//! Ends a promotion that cannot be applied: with what hindered it, what of it is left in the registry, and
//! what comes next.

use super::advance::end;
use super::state::{Event, Promotion, PromotionError, PromotionState};
use super::store;
use crate::attestation::{self, State};
use crate::db::Conn;
use crate::gate::{self, Requester};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::reconcile::next_attempt;
use crate::{image, project};
use contract::settings::Promote;

/// Fails it, in the caller's transaction, unless tags may be there: false.
pub(super) async fn fail(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    why: &str,
) -> Result<bool, PromotionError> {
    let left = left_behind(conn, promotion).await?;
    let next = what_next(conn, ground, promotion).await?;
    let event = Event::Failed {
        cause: format!("{why}. {left}{next}"),
        at: ground.now().0,
    };
    end(conn, ground, promotion, event, &Actor::System).await
}

/// What the rule does when it had asked for it.
async fn what_next(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
) -> Result<String, PromotionError> {
    let settings = project::current_settings(conn, &promotion.project_id).await?;
    let settings = settings.map(|current| current.settings);
    let environment = settings
        .as_ref()
        .and_then(|settings| settings.environment(promotion.environment.as_str()));
    let is_automatic = environment.is_some_and(|e| e.promote == Promote::Automatic);
    if promotion.requester != Requester::Rule || !is_automatic {
        return Ok(String::new());
    }
    let (project, release) = (&promotion.project_id, &promotion.release_id);
    let tries = store::tries(conn, project, promotion.environment.as_str(), release).await?;
    let failed = tries.failed + 1;
    Ok(match next_attempt(failed, ground.now()) {
        Some(_) => {
            " It is requested again by rule, unless a later release is there by then.".to_owned()
        }
        None => format!(" It failed {failed} times and is no longer requested by rule."),
    })
}

/// What a promotion that fails leaves in the registry: none of it carries a tag.
pub(super) async fn left_behind(
    conn: &mut Conn,
    promotion: &Promotion,
) -> Result<String, PromotionError> {
    let PromotionState::Applying { decision_id, .. } = &promotion.state else {
        return Ok(String::new());
    };
    let decision = gate::decision(conn, decision_id).await?;
    let places: Vec<String> = decision
        .iter()
        .flat_map(|decision| decision.images.values())
        .map(|target| target.repository.to_string())
        .collect();
    let mut signed = Vec::new();
    let release = image::release(conn, &promotion.release_id).await?;
    for own in release.iter().flat_map(|release| release.images.values()) {
        for signature in attestation::signatures_of_image(conn, &own.image_id).await? {
            let place = signature.repository.to_string();
            if places.contains(&place) && matches!(signature.state, State::Published { .. }) {
                signed.push(place);
            }
        }
    }
    let signed = if signed.is_empty() {
        "no signature is published there".to_owned()
    } else {
        format!("signatures are published in {}", signed.join(", "))
    };
    Ok(format!(
        "No tag was written; copies and attestations may lie in {}, {signed}.",
        places.join(", ")
    ))
}
