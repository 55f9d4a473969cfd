//! The pass: requests what rules ask for, tries gates, applies what they let through.

use super::advance::end;
use super::apply::apply;
use super::authorise::authorise;
use super::request::{RequestOutcome, request_in};
use super::state::{Event, Hands, Promotion, PromotionError, PromotionState};
use super::store;
use super::subject::subject;
use crate::attestation::{self, State};
use crate::db::Conn;
use crate::gate::{self, Entering};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, Release};
use crate::project::{self, Project, SettingsVersion};
use crate::reconcile::Progress;
use contract::settings::{Environment, Promote};
use tracing::Instrument as _;

/// Items of one pass; the rest waits for the next.
const ITEMS_MAX: i64 = 200;

/// Requests, authorises, applies.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, PromotionError> {
    let mut progress = Progress::Idle;
    for project in project::list(&mut ground.db.reader().await?).await? {
        progress = progress.or(request_by_rule(ground, &project).await?);
        let learnt = learn_ahead(ground, hands, &project).await;
        progress = progress.or(noted(project.name.as_str(), learnt));
    }
    for promotion in store::waiting_everywhere(&mut ground.db.reader().await?, ITEMS_MAX).await? {
        let learnt = learn_of(ground, hands, &promotion).instrument(span(&promotion));
        progress = progress.or(noted(promotion.id.as_str(), learnt.await));
        let authorised = authorise(ground, &promotion.id).instrument(span(&promotion));
        progress = progress.or(noted(promotion.id.as_str(), authorised.await));
    }
    let applying = store::in_states(
        &mut ground.db.reader().await?,
        "applying",
        "applying",
        ITEMS_MAX,
    )
    .await?;
    for promotion in applying {
        let applied = apply_or_note(ground, hands, &promotion).instrument(span(&promotion));
        progress = progress.or(applied.await?);
    }
    Ok(progress)
}

/// Every line about the promotion says which it is.
fn span(promotion: &Promotion) -> tracing::Span {
    tracing::info_span!("promotion", promotion.id = %promotion.id)
}

/// One bad item does not stop the others.
fn noted(what: &str, result: Result<Progress, PromotionError>) -> Progress {
    result.unwrap_or_else(|error| {
        tracing::warn!(what, error = chain(&error), "not decided yet");
        Progress::Idle
    })
}

/// Reads from the repository what a promotion's gate will want to know, who worked on it, and what people
/// want to read where it asks nobody: the commits that come in.
async fn learn_of(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
) -> Result<Progress, PromotionError> {
    let subject = subject(&mut ground.db.reader().await?, promotion).await?;
    let Some(subject) = subject else {
        return Ok(Progress::Idle);
    };
    let entering = Entering {
        base: subject.base().to_owned(),
        project_id: subject.project_id,
        git: subject.settings.git,
        run_id: subject.release.run_id,
    };
    Ok(gate::learn(ground, &hands.mirrors, entering).await?)
}

/// The same of the newest release before anybody asks for it, so that whoever asks and whoever answers
/// sees who may.
async fn learn_ahead(
    ground: &Ground,
    hands: &Hands,
    project: &Project,
) -> Result<Progress, PromotionError> {
    let mut conn = ground.db.reader().await?;
    let id = project.id.as_str();
    let settings = project::current_settings(&mut conn, id).await?;
    let newest = image::releases_of_project(&mut conn, id, 1).await?;
    let (Some(settings), Some(release)) = (settings, newest.into_iter().next()) else {
        return Ok(Progress::Idle);
    };
    let mut entering = Vec::new();
    for environment in &settings.settings.environments {
        if environment.gate.approvals.is_empty() {
            continue;
        }
        let holds = store::holding(&mut conn, id, environment.name.as_str()).await?;
        entering.push(Entering {
            project_id: id.to_owned(),
            git: settings.settings.git.clone(),
            run_id: release.run_id.clone(),
            base: holds.map(|holds| holds.commit).unwrap_or_default(),
        });
    }
    drop(conn);
    let mut progress = Progress::Idle;
    for entering in entering {
        progress = progress.or(gate::learn(ground, &hands.mirrors, entering).await?);
    }
    Ok(progress)
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
    conn: &mut Conn,
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
    let (text, transient) = (chain(&error), error.is_transient());
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
                if !transient {
                    let event = Event::Failed {
                        cause: format!("{text}. {}", left_behind(conn, &promotion).await?),
                        at: ground_in.now().0,
                    };
                    if end(conn, &ground_in, &promotion, event, &Actor::System).await? {
                        return Ok(Progress::Moved);
                    }
                }
                store::set_progress(conn, &id, &text).await?;
                Ok(Progress::Idle)
            })
        })
        .await
}

/// What a promotion that fails leaves in the registry: none of it carries a tag.
async fn left_behind(conn: &mut Conn, promotion: &Promotion) -> Result<String, PromotionError> {
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
