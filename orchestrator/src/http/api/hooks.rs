//! `POST /api/v1/projects/{project}/hooks`, `GET …/hooks`, `POST …/hooks/{hook}/secret`,
//! `POST …/hooks/{hook}/disable`.

use crate::app::App;
use crate::delivery::{self, AddHook, HookId, Provider};
use crate::http::extract::ApiCaller;
use crate::http::problem::{Code, Problem};
use crate::identity::{self, Permission, PersonId};
use crate::project::{self, Project};
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the secret before is good when nobody says otherwise.
const KEEP_HOURS: u32 = 24;
/// A month: who has not changed a sender by then has forgotten it.
const KEEP_HOURS_MAX: u32 = 31 * 24;

/// A hook to be made. No `Debug`: it holds a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    provider: Provider,
    secret: Zeroizing<String>,
    pusher: Option<String>,
}

/// A hook that was made.
#[derive(Serialize)]
pub struct HookAnswer {
    /// Its id.
    pub id: String,
    /// Where senders send to.
    pub url: String,
}

/// Makes a hook.
pub async fn add(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(name): Path<String>,
    Json(new): Json<NewHook>,
) -> Result<(StatusCode, Json<HookAnswer>), Problem> {
    let project = found(&app, &name).await?;
    caller.must(Permission::Administer, project.id.as_str())?;
    let pusher = match &new.pusher {
        Some(name) => Some(person(&app, name).await?),
        None => None,
    };
    let hook = AddHook {
        project_id: project.id,
        provider: new.provider,
        secret: new.secret,
        pusher,
    };
    let added = delivery::add_hook(&app.intake, &caller.0.actor, hook).await;
    match added.map_err(|error| Problem::internal(&error))? {
        Ok(added) => {
            let (id, url) = (added.id.to_string(), added.url);
            Ok((StatusCode::CREATED, Json(HookAnswer { id, url })))
        }
        Err(invalid) => Err(Problem::new(Code::InvalidSecret, invalid.to_string())),
    }
}

/// A hook in a list.
#[derive(Serialize)]
pub struct HookListed {
    /// Its id.
    pub id: String,
    /// Who sends.
    pub provider: String,
    /// Whether it is off.
    pub disabled: bool,
}

/// A project's hooks.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(name): Path<String>,
) -> Result<Json<Vec<HookListed>>, Problem> {
    let project = found(&app, &name).await?;
    caller.must(Permission::See, project.id.as_str())?;
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let hooks = delivery::hooks_of_project(&mut conn, project.id.as_str()).await;
    let listed = |hook: delivery::HookRow| HookListed {
        id: hook.id,
        provider: hook.provider,
        disabled: hook.disabled_at.is_some(),
    };
    let hooks = hooks.map_err(failed)?.into_iter().map(listed).collect();
    Ok(Json(hooks))
}

/// Another secret for a hook. No `Debug`: it holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    secret: Zeroizing<String>,
    /// For so many hours more the one that holds is good; a day if not given.
    keep_hours: Option<u32>,
}

/// What came of a new secret.
#[derive(Serialize)]
pub struct SecretRotated {
    /// The hook's id.
    pub id: String,
    /// Who sends.
    pub provider: &'static str,
    /// For so many hours more the secret before is good.
    pub keep_hours: u32,
}

/// Gives a hook another secret.
pub async fn rotate(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((name, hook)): Path<(String, String)>,
    Json(new): Json<NewSecret>,
) -> Result<Json<SecretRotated>, Problem> {
    let project = found(&app, &name).await?;
    caller.must(Permission::Administer, project.id.as_str())?;
    let id = HookId::parse(&hook).ok_or_else(Problem::not_found)?;
    let keep_hours = new.keep_hours.unwrap_or(KEEP_HOURS);
    if keep_hours > KEEP_HOURS_MAX {
        let detail = format!("`keep_hours` is at most {KEEP_HOURS_MAX}");
        return Err(Problem::new(Code::BadDocument, detail));
    }
    let keep = Duration::from_secs(u64::from(keep_hours) * 3_600);
    let (intake, actor) = (&app.intake, &caller.0.actor);
    let rotated = delivery::rotate_hook(intake, actor, &project.id, &id, &new.secret, keep).await;
    match rotated.map_err(|error| Problem::internal(&error))? {
        Ok(Some(provider)) => Ok(Json(SecretRotated {
            id: hook,
            provider: provider.as_str(),
            keep_hours,
        })),
        Ok(None) => Err(Problem::not_found()),
        Err(invalid) => Err(Problem::new(Code::InvalidSecret, invalid.to_string())),
    }
}

/// What came of switching off.
#[derive(Serialize)]
pub struct HookDisabled {
    /// Its id.
    pub id: String,
}

/// Switches a hook off: nothing comes in by it any more.
pub async fn disable(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((name, hook)): Path<(String, String)>,
) -> Result<Json<HookDisabled>, Problem> {
    let project = found(&app, &name).await?;
    caller.must(Permission::Administer, project.id.as_str())?;
    let id = HookId::parse(&hook).ok_or_else(Problem::not_found)?;
    let disabled = delivery::disable_hook(&app.intake, &caller.0.actor, &project.id, &id).await;
    if disabled.map_err(|error| Problem::internal(&error))? {
        Ok(Json(HookDisabled { id: hook }))
    } else {
        Err(Problem::not_found())
    }
}

async fn found(app: &App, name: &str) -> Result<Project, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let project = project::by_name(&mut conn, name).await.map_err(failed)?;
    project.ok_or_else(Problem::not_found)
}

async fn person(app: &App, name: &str) -> Result<PersonId, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let person = identity::person_by_name(&mut conn, name).await;
    let person = person.map_err(failed)?;
    let id = person.and_then(|person| PersonId::parse(&person.id).ok());
    id.ok_or_else(|| {
        Problem::new(
            Code::NoSuchPerson,
            format!("there is no person `{name}`: `sallyport user add` makes one"),
        )
    })
}
