//! The pass: requests what rules ask for, tries gates, applies what they let through.

use super::apply::apply;
use super::authorise::authorise;
use super::request::{RequestOutcome, request_in};
use super::state::{Hands, Promotion, PromotionError, PromotionState};
use super::store;
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, Release};
use crate::project::{self, Project, SettingsVersion};
use crate::reconcile::Progress;
use contract::settings::{Environment, Promote};

/// Items of one pass; the rest waits for the next.
const ITEMS_MAX: i64 = 200;

/// Requests, authorises, applies.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, PromotionError> {
    let mut progress = Progress::Idle;
    for project in project::list(&mut ground.db.reader().await?).await? {
        progress = progress.or(request_by_rule(ground, &project).await?);
    }
    for promotion in store::waiting_everywhere(&mut ground.db.reader().await?, ITEMS_MAX).await? {
        progress = progress.or(noted(&promotion, authorise(ground, &promotion.id).await));
    }
    let applying = store::in_states(
        &mut ground.db.reader().await?,
        "applying",
        "applying",
        ITEMS_MAX,
    )
    .await?;
    for promotion in applying {
        progress = progress.or(apply_or_note(ground, hands, &promotion).await?);
    }
    Ok(progress)
}

/// One bad item does not stop the others.
fn noted(promotion: &Promotion, result: Result<Progress, PromotionError>) -> Progress {
    result.unwrap_or_else(|error| {
        tracing::warn!(promotion.id = %promotion.id, error = chain(&error), "not decided yet");
        Progress::Idle
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// The newest release enters each automatic environment as soon as it is in those before.
async fn request_by_rule(ground: &Ground, project: &Project) -> Result<Progress, PromotionError> {
    let mut conn = ground.db.reader().await?;
    let settings = project::current_settings(&mut conn, project.id.as_str()).await?;
    let newest = image::releases_of_project(&mut conn, project.id.as_str(), 1).await?;
    let (Some(settings), Some(release)) = (settings, newest.into_iter().next()) else {
        return Ok(Progress::Idle);
    };
    let mut due = Vec::new();
    for environment in &settings.settings.environments {
        if is_due(&mut conn, environment, &release).await? {
            due.push(environment.name.to_string());
        }
    }
    drop(conn);
    let mut progress = Progress::Idle;
    for environment in due {
        progress = progress.or(request_once(ground, &settings, &release, environment).await?);
    }
    Ok(progress)
}

async fn is_due(
    conn: &mut crate::db::Conn,
    environment: &Environment,
    release: &Release,
) -> Result<bool, PromotionError> {
    if environment.promote != Promote::Automatic {
        return Ok(false);
    }
    let (project, name) = (&release.project_id, environment.name.as_str());
    if store::was_promoted(conn, project, name, &release.id).await? {
        return Ok(false);
    }
    let placed = store::placements(conn, project, &release.id).await?;
    Ok(environment
        .after
        .iter()
        .all(|after| placed.iter().any(|(at, _)| at == after.as_str())))
}

async fn request_once(
    ground: &Ground,
    settings: &SettingsVersion,
    release: &Release,
    environment: String,
) -> Result<Progress, PromotionError> {
    let (ground_in, settings, release) = (ground.clone(), settings.clone(), release.clone());
    ground
        .db
        .write("promotion.request-by-rule", move |conn| {
            Box::pin(async move {
                let project = &release.project_id;
                // Asked again inside: another orchestrator may have been here.
                if store::was_promoted(conn, project, &environment, &release.id).await? {
                    return Ok(Progress::Idle);
                }
                let actor = Actor::System;
                let outcome = request_in(
                    conn,
                    &ground_in,
                    &actor,
                    project,
                    &settings,
                    &environment,
                    &release.id,
                );
                Ok(match outcome.await? {
                    RequestOutcome::Requested(_) => Progress::Moved,
                    RequestOutcome::AlreadyOpen(_)
                    | RequestOutcome::AlreadyThere
                    | RequestOutcome::NoSuchEnvironment
                    | RequestOutcome::NoSuchRelease => Progress::Idle,
                })
            })
        })
        .await
}

async fn apply_or_note(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
) -> Result<Progress, PromotionError> {
    let PromotionState::Applying { decision_id, .. } = &promotion.state else {
        return Ok(Progress::Idle);
    };
    let error = match apply(ground, hands, promotion, decision_id).await {
        Ok(progress) => return Ok(progress),
        Err(error) => error,
    };
    let (text, transient) = (chain(&error), error.is_transient());
    tracing::warn!(promotion.id = %promotion.id, error = text, transient, "not applied yet");
    let (ground_in, promotion) = (ground.clone(), promotion.clone());
    ground
        .db
        .write("promotion.not-applied", move |conn| {
            Box::pin(async move {
                if transient {
                    store::set_progress(conn, &promotion.id, &text).await?;
                    return Ok(Progress::Idle);
                }
                let at = ground_in.now();
                if store::set_ended(conn, &promotion.id, "failed", &text, at).await? {
                    let subject = format!("promotion:{}", promotion.id);
                    let record = Record::new("promotion.failed", subject, &Actor::System)
                        .project(&promotion.project_id)
                        .with("cause", text);
                    audit::append(conn, at, &*ground_in.ids, record).await?;
                }
                Ok(Progress::Moved)
            })
        })
        .await
}
