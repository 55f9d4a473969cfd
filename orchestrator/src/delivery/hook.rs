//! Hooks: entrances with a provider and its secrets. A hook without a secret cannot be made.

use super::intake::Intake;
use super::provider;
use super::state::{DeliveryError, HookId, InvalidSecret, Provider};
use super::store;
use crate::audit::{self, Record};
use crate::clock::At;
use crate::identity::{Actor, PersonId};
use crate::project::ProjectId;
use std::time::Duration;
use zeroize::Zeroizing;

/// A hook as requests are verified with it. No `Debug`: it holds secrets.
pub(super) struct Hook {
    pub(super) id: HookId,
    pub(super) project_id: String,
    pub(super) provider: Provider,
    pub(super) secrets: Vec<Secret>,
}

/// A secret; during a rotation two of them hold.
pub(super) struct Secret {
    pub(super) id: String,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) until: Option<At>,
}

/// What a hook is made of.
pub struct AddHook {
    /// Its project.
    pub project_id: ProjectId,
    /// Who sends.
    pub provider: Provider,
    /// The secret as its provider writes it.
    pub secret: Zeroizing<String>,
    /// Only this person pushes through it.
    pub pusher: Option<PersonId>,
}

/// A hook that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedHook {
    /// Its id.
    pub id: HookId,
    /// Where senders send to.
    pub url: String,
}

/// The sealer's context of a secret: a sealed secret moved to another hook does not open.
pub(super) fn context(hook_id: &str, secret_id: &str) -> String {
    format!("hook-secret:{hook_id}/{secret_id}")
}

crate::id_type!(
    /// A secret of a hook.
    HookSecretId
);

/// Makes a hook with its first secret.
pub async fn add_hook(
    intake: &Intake,
    actor: &Actor,
    hook: AddHook,
) -> Result<Result<AddedHook, InvalidSecret>, DeliveryError> {
    let key = match provider::key(hook.provider, &hook.secret) {
        Ok(key) => key,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let ground = intake.ground().clone();
    let id = HookId::new(&*ground.ids);
    let secret_id = HookSecretId::new(&*ground.ids);
    let context = context(id.as_str(), secret_id.as_str());
    let sealed = intake.sealer().seal(&*ground.ids, &context, &key);
    let (actor, hook_id) = (actor.clone(), id.clone());
    let adding = ground.clone();
    let added: Result<(), DeliveryError> = ground
        .db
        .write("delivery.add-hook", move |conn| {
            Box::pin(async move {
                let (now, pusher) = (adding.now(), hook.pusher.as_ref().map(PersonId::as_str));
                let project = hook.project_id.as_str();
                store::insert_hook(conn, &hook_id, project, hook.provider, pusher, now).await?;
                store::insert_secret(conn, secret_id.as_str(), &hook_id, &sealed, now).await?;
                let record = Record::new("hook.added", format!("hook:{hook_id}"), &actor)
                    .project(project)
                    .with("provider", hook.provider.as_str())
                    .with("secret", secret_id.as_str())
                    .with("pusher", pusher.unwrap_or("nobody in particular"));
                audit::append(conn, now, &*adding.ids, record).await?;
                Ok(())
            })
        })
        .await;
    added?;
    intake.reload().await?;
    let url = format!("{}/hooks/{id}", intake.public_url());
    Ok(Ok(AddedHook { id, url }))
}

/// Switches a hook of a project off; false when it has none with this id that is on.
pub async fn disable_hook(
    intake: &Intake,
    actor: &Actor,
    project_id: &ProjectId,
    id: &HookId,
) -> Result<bool, DeliveryError> {
    let ground = intake.ground().clone();
    let (actor, project_id, id) = (actor.clone(), project_id.clone(), id.clone());
    let writing = ground.clone();
    let disabled: Result<bool, DeliveryError> = ground
        .db
        .write("delivery.disable-hook", move |conn| {
            Box::pin(async move {
                let (now, project) = (writing.now(), project_id.as_str());
                if !store::disable_hook(conn, project, &id, now).await? {
                    return Ok(false);
                }
                let record =
                    Record::new("hook.disabled", format!("hook:{id}"), &actor).project(project);
                audit::append(conn, now, &*writing.ids, record).await?;
                Ok(true)
            })
        })
        .await;
    let disabled = disabled?;
    intake.reload().await?;
    Ok(disabled)
}

/// Gives a hook of a project another secret; the one that holds is good for `keep` more, any older one no
/// more. Its provider, or nothing when the project has no hook with this id that is on.
pub async fn rotate_hook(
    intake: &Intake,
    actor: &Actor,
    project_id: &ProjectId,
    id: &HookId,
    secret: &str,
    keep: Duration,
) -> Result<Result<Option<Provider>, InvalidSecret>, DeliveryError> {
    let ground = intake.ground().clone();
    let mut conn = ground.db.reader().await?;
    let found = store::hook_row(&mut conn, id.as_str()).await?;
    drop(conn);
    let found = found.filter(|hook| hook.project_id == project_id.as_str());
    let Some(provider) = found.and_then(|hook| Provider::parse(&hook.provider)) else {
        return Ok(Ok(None));
    };
    let key = match provider::key(provider, secret) {
        Ok(key) => key,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let secret_id = HookSecretId::new(&*ground.ids);
    let context = context(id.as_str(), secret_id.as_str());
    let sealed = intake.sealer().seal(&*ground.ids, &context, &key);
    let (actor, project_id, id) = (actor.clone(), project_id.clone(), id.clone());
    let writing = ground.clone();
    let rotated: Result<bool, DeliveryError> = ground
        .db
        .write("delivery.rotate-hook", move |conn| {
            Box::pin(async move {
                let (now, project) = (writing.now(), project_id.as_str());
                let until = now.plus(keep);
                if !store::end_secrets(conn, project, &id, now, until).await? {
                    return Ok(false);
                }
                store::insert_secret(conn, secret_id.as_str(), &id, &sealed, now).await?;
                let record = Record::new("hook.secret-rotated", format!("hook:{id}"), &actor)
                    .project(project)
                    .with("secret", secret_id.as_str())
                    .with("previous_until", until.to_string());
                audit::append(conn, now, &*writing.ids, record).await?;
                Ok(true)
            })
        })
        .await;
    let rotated = rotated?;
    intake.reload().await?;
    Ok(Ok(rotated.then_some(provider)))
}
