//! The rule of automatic environments: the newest release enters each as soon as it is in those before.
//!
//! One that could not be applied is requested again after a pause, as often as anything is tried here:
//! what was wrong with the registry may be mended by then, and what closed its gate before the first tag
//! keeps the new one waiting with its conditions. After the last attempt, or when somebody gave it up, it
//! is left to people, who may request it as any other.

use super::advance::end_overtaken;
use super::authorise::judge_in;
use super::request::{RequestOutcome, request_in};
use super::state::{PromotionError, PromotionId};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::{ConditionState, Judgement, Requester};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, Release, ReleaseId};
use crate::project::{self, Project, SettingsVersion};
use crate::reconcile::{Progress, next_attempt};
use contract::settings::{Environment, Promote};

/// Requests what the rule asks for in one project.
pub(super) async fn request_by_rule(
    ground: &Ground,
    project: &Project,
) -> Result<Progress, PromotionError> {
    let mut conn = ground.db.reader().await?;
    let settings = project::current_settings(&mut conn, project.id.as_str()).await?;
    let newest = image::releases_of_project(&mut conn, project.id.as_str(), 1).await?;
    let (Some(settings), Some(release)) = (settings, newest.into_iter().next()) else {
        return Ok(Progress::Idle);
    };
    let mut due = Vec::new();
    for environment in &settings.settings.environments {
        if is_due(&mut conn, environment, &release, ground.now()).await? {
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
    now: At,
) -> Result<bool, PromotionError> {
    if environment.promote != Promote::Automatic {
        return Ok(false);
    }
    let (project, name) = (&release.project_id, environment.name.as_str());
    if !may_ask(&store::tries(conn, project, name, &release.id).await?, now) {
        return Ok(false);
    }
    let placed = store::placements(conn, project, &release.id).await?;
    Ok(environment
        .after
        .iter()
        .all(|after| placed.iter().any(|(at, _)| at == after.as_str())))
}

/// Whether the rule asks for a release now that was tried so in this environment.
fn may_ask(tries: &store::Tries, now: At) -> bool {
    match tries.failed_at {
        // Nothing but failures, and the pause after the last one is over.
        Some(last) if tries.failed == tries.made => {
            next_attempt(tries.failed, At(last)).is_some_and(|next| next.0 <= now.0)
        }
        Some(_) => false,
        None => tries.made == 0,
    }
}

/// Whether the rule does not ask any more for this release to enter this environment, so that somebody has
/// to who wants it there.
pub async fn is_left_to_people(
    conn: &mut Conn,
    project: &str,
    environment: &str,
    release: &ReleaseId,
) -> Result<bool, PromotionError> {
    let tries = store::tries(conn, project, environment, release).await?;
    Ok(match tries.failed_at {
        Some(last) if tries.failed == tries.made => next_attempt(tries.failed, At(last)).is_none(),
        Some(_) => true,
        None => tries.made > 0,
    })
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
                let tries = store::tries(conn, project, &environment, &release.id).await?;
                if !may_ask(&tries, ground_in.now()) {
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
                    RequestOutcome::Requested(id) => {
                        overtake(conn, &ground_in, &id).await?;
                        Progress::Moved
                    }
                    RequestOutcome::AlreadyOpen(_)
                    | RequestOutcome::AlreadyThere
                    | RequestOutcome::NoSuchEnvironment
                    | RequestOutcome::NoSuchRelease => Progress::Idle,
                })
            })
        })
        .await
}

/// Older ones that the rule asked for and that failed their gate will not be mended by waiting: the newest
/// has come instead. What only waits for its time or for people goes on, or a project that pushes often
/// would never see anything enter; what a person asked for stays theirs.
async fn overtake(
    conn: &mut Conn,
    ground: &Ground,
    id: &PromotionId,
) -> Result<(), PromotionError> {
    let Some(newer) = store::by_id(conn, id).await? else {
        return Ok(());
    };
    for older in store::overtaken(conn, &newer).await? {
        let judged = judge_in(conn, ground, &older).await?;
        let failed = |judged: Judgement| {
            let mut states = judged.conditions.iter().map(|condition| condition.state);
            states.any(|state| state == ConditionState::Failed)
        };
        if older.requester == Requester::Rule && judged.is_some_and(failed) {
            let cause = format!("promotion {} asks for a later release", newer.number);
            end_overtaken(conn, ground, &older, cause).await?;
        }
    }
    Ok(())
}
