//! Asks for a promotion: a person, or the rule of an automatic environment.

use super::state::{PromotionError, PromotionId};
use super::store;
use crate::audit::{self, Record};
use crate::db::Conn;
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, ReleaseId};
use crate::project::{self, SettingsVersion};

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It waits for its gate now.
    Requested(PromotionId),
    /// The same was asked for already.
    AlreadyOpen(String),
    /// It is there already.
    AlreadyThere,
    /// There is no such environment.
    NoSuchEnvironment,
    /// There is no such release in this project.
    NoSuchRelease,
}

/// Asks for a release to enter an environment.
pub async fn request(
    ground: &Ground,
    actor: &Actor,
    project_id: &str,
    environment: &str,
    release_id: &ReleaseId,
) -> Result<RequestOutcome, PromotionError> {
    let (ground_in, actor, release_id) = (ground.clone(), actor.clone(), release_id.clone());
    let (project_id, environment) = (project_id.to_owned(), environment.to_owned());
    ground
        .db
        .write("promotion.request", move |conn| {
            Box::pin(async move {
                let settings = project::current_settings(conn, &project_id).await?;
                let Some(settings) = settings else {
                    return Ok(RequestOutcome::NoSuchEnvironment);
                };
                if settings.settings.environment(&environment).is_none() {
                    return Ok(RequestOutcome::NoSuchEnvironment);
                }
                let release = image::release(conn, &release_id).await?;
                if release.is_none_or(|release| release.project_id != project_id) {
                    return Ok(RequestOutcome::NoSuchRelease);
                }
                request_in(
                    conn,
                    &ground_in,
                    &actor,
                    &project_id,
                    &settings,
                    &environment,
                    &release_id,
                )
                .await
            })
        })
        .await
}

/// Asks in the caller's transaction, which has looked at environment and release.
pub(super) async fn request_in(
    conn: &mut Conn,
    ground: &Ground,
    actor: &Actor,
    project_id: &str,
    settings: &SettingsVersion,
    environment: &str,
    release_id: &ReleaseId,
) -> Result<RequestOutcome, PromotionError> {
    if let Some(open) = store::open_of(conn, project_id, environment, release_id).await? {
        return Ok(RequestOutcome::AlreadyOpen(open));
    }
    let placed = store::in_environment(conn, project_id, environment).await?;
    if placed.is_some_and(|placed| placed.release_id == release_id.as_str()) {
        return Ok(RequestOutcome::AlreadyThere);
    }
    let (at, id) = (ground.now(), PromotionId::new(&*ground.ids));
    let number = project::next_promotion_number(conn, project_id).await?;
    let row = store::NewRow {
        id: &id,
        project_id,
        number,
        release_id,
        environment,
        settings_version: settings.version,
        requested_by: &actor.to_string(),
        requester: actor.person(),
        at,
    };
    store::insert(conn, row).await?;
    let record = Record::new("promotion.requested", format!("promotion:{id}"), actor)
        .project(project_id)
        .with("environment", environment)
        .with("release", release_id.as_str());
    audit::append(conn, at, &*ground.ids, record).await?;
    Ok(RequestOutcome::Requested(id))
}
