//! Reads what a gate is to judge about a promotion, by the settings of now.

use super::state::{Promotion, PromotionError};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::{Placement, Subject};
use crate::{image, project};

/// The subject; `None` when the environment is no longer in the settings.
pub(super) async fn subject(
    conn: &mut Conn,
    promotion: &Promotion,
) -> Result<Option<Subject>, PromotionError> {
    let missing = |what| PromotionError::Missing {
        what,
        id: promotion.id.clone(),
    };
    let settings = project::current_settings(conn, &promotion.project_id).await?;
    let settings = settings.ok_or_else(|| missing("the project"))?;
    let environment = settings
        .settings
        .environment(promotion.environment.as_str())
        .cloned();
    let Some(environment) = environment else {
        return Ok(None);
    };
    let release = image::release(conn, &promotion.release_id).await?;
    let placed = store::placements(conn, &promotion.project_id, &promotion.release_id).await?;
    let environment_name = promotion.environment.as_str();
    let holds = store::holding(conn, &promotion.project_id, environment_name).await?;
    let placement = |(environment, since): (String, i64)| Placement {
        environment,
        since: At(since),
    };
    Ok(Some(Subject {
        project_id: promotion.project_id.clone(),
        promotion_id: promotion.id.to_string(),
        settings: settings.settings,
        settings_version: settings.version,
        environment,
        release: release.ok_or_else(|| missing("the release"))?,
        requester: promotion.requester.clone(),
        placements: placed.into_iter().map(placement).collect(),
        holds,
    }))
}
