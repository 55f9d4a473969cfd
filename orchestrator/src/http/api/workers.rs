//! `POST /api/v1/workers/tokens`, `GET /api/v1/workers`, `POST /api/v1/workers/{name}/{act}`.

use crate::app::App;
use crate::fleet::{self, Standing};
use crate::http::Problem;
use crate::http::extract::ApiCaller;
use crate::http::problem::Code;
use crate::identity::Permission;
use axum::Json;
use axum::extract::{Path, State};
use contract::level::Level;
use contract::name::Name;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An enrolment token, shown this once.
#[derive(Serialize)]
pub struct EnrolmentToken {
    /// The text.
    pub token: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// What a token is to grant.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The most that the worker may claim of how it holds containers apart; what our own engine has when
    /// nothing is said.
    pub level: Option<Level>,
}

/// Makes an enrolment token.
pub async fn make_token(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    grant: Option<Json<Grant>>,
) -> Result<(StatusCode, Json<EnrolmentToken>), Problem> {
    caller.must_everywhere(Permission::Administer)?;
    let Json(Grant { level }) = grant.unwrap_or_default();
    let level = level.unwrap_or_else(Level::of_our_own_engine);
    let minted = fleet::mint(&app.ground, &app.fleet.ca, &caller.0.actor, level).await;
    let minted = minted.map_err(|error| Problem::internal(&error))?;
    let answer = EnrolmentToken {
        token: minted.text.to_string(),
        expires_at: minted.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// A worker in a list.
#[derive(Serialize)]
pub struct WorkerAnswer {
    /// Its name.
    pub name: String,
    /// `active`, `drained`, `revoked`.
    pub standing: &'static str,
    /// The most that it may claim of how it holds containers apart.
    pub granted_level: String,
    /// What is believed of its self-test; none before its first start.
    pub level: Option<String>,
    /// How many steps it works on at once.
    pub slots: Option<u32>,
    /// Its program's version.
    pub version: Option<String>,
    /// When it was last heard of, RFC 3339.
    pub seen_at: Option<String>,
}

/// Every worker.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
) -> Result<Json<Vec<WorkerAnswer>>, Problem> {
    caller.must_everywhere(Permission::See)?;
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let workers = fleet::list(&mut conn).await.map_err(failed)?;
    let answer = |worker: fleet::Worker| WorkerAnswer {
        name: worker.name.to_string(),
        standing: match worker.standing {
            Standing::Active => "active",
            Standing::Drained { .. } => "drained",
            Standing::Revoked { .. } => "revoked",
        },
        granted_level: worker.granted.to_string(),
        level: worker.capability.as_ref().map(|c| c.level.to_string()),
        slots: worker.capability.as_ref().map(|c| c.slots),
        version: worker.capability.map(|c| c.version),
        seen_at: worker.seen_at.map(|at| at.to_string()),
    };
    Ok(Json(workers.into_iter().map(answer).collect()))
}

/// What is to become of a worker.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// It ends what it has and gets nothing new.
    Drain,
    /// It works again.
    Resume,
    /// It is refused at the door, for ever.
    Revoke,
}

/// `POST /api/v1/workers/{name}/{act}`
pub async fn act(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path((name, act)): Path<(String, Act)>,
) -> Result<Json<serde_json::Value>, Problem> {
    caller.must_everywhere(Permission::Administer)?;
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let name = Name::parse(&name).map_err(|_| Problem::not_found())?;
    let worker = {
        let mut conn = app.ground.db.reader().await.map_err(failed)?;
        let worker = fleet::by_name(&mut conn, &name).await.map_err(failed)?;
        worker.ok_or_else(Problem::not_found)?
    };
    if let (Standing::Revoked { .. }, Act::Drain | Act::Resume) = (&worker.standing, &act) {
        let detail = format!("{name} is revoked, for ever: enrol it under another name");
        return Err(Problem::new(Code::WorkerRevoked, detail));
    }
    let (ground, actor) = (&app.ground, &caller.0.actor);
    let done = match act {
        Act::Drain => fleet::drain(ground, &worker.id, true, actor).await,
        Act::Resume => fleet::drain(ground, &worker.id, false, actor).await,
        Act::Revoke => fleet::revoke(ground, &worker.id, actor).await,
    };
    done.map_err(|error| Problem::internal(&error))?;
    Ok(Json(serde_json::json!({})))
}
