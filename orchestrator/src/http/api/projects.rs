//! `PUT /api/v1/projects/{project}/settings?from=<version>`, `GET …/settings`, `GET /api/v1/projects`.

use crate::app::App;
use crate::http::extract::ApiCaller;
use crate::http::problem::{Code, Problem};
use crate::identity::Permission;
use crate::project::{self, ApplyOutcome};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use contract::complaint::Complaint;
use contract::settings::Settings;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which version the document was made from.
#[derive(Deserialize)]
pub struct From {
    /// 0 for a new project.
    from: i64,
}

/// The version that holds now.
#[derive(Serialize)]
pub struct Applied {
    /// The version.
    pub version: i64,
    /// Whether this request made it.
    pub changed: bool,
}

/// Applies a settings document.
pub async fn apply(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(name): Path<String>,
    Query(From { from }): Query<From>,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    caller.must_everywhere(Permission::Administer)?;
    let document = body.to_vec();
    if let Ok(settings) = contract::settings::check("settings", &document) {
        fits(&settings, &name, app.issuer.service())?;
    }
    let outcome = project::apply(&app.ground, &caller.0.actor, from, document).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        ApplyOutcome::Applied { version, .. } => {
            app.bells.promotion.ring();
            Ok(Json(Applied {
                version,
                changed: true,
            }))
        }
        ApplyOutcome::Unchanged { version } => Ok(Json(Applied {
            version,
            changed: false,
        })),
        ApplyOutcome::Conflict {
            current,
            difference,
        } => {
            let detail = format!(
                "made from version {from}, but version {current} holds: fetch that, merge, apply again; what has changed since:\n{difference}"
            );
            Err(Problem::new(Code::SettingsConflict, detail))
        }
        ApplyOutcome::Complaints(complaints) => Err(complain(&complaints)),
    }
}

/// Whether the document is of this project, and names the registry that this server gives rights in.
fn fits(settings: &Settings, name: &str, registry: &str) -> Result<(), Problem> {
    let Settings {
        project,
        quarantine,
        ..
    } = settings;
    if project.as_str() != name {
        let detail = format!("the document is of project `{project}`, not of `{name}`");
        return Err(Problem::new(Code::WrongProject, detail));
    }
    if quarantine.registry() != registry {
        let named = quarantine.registry();
        let detail = format!("quarantine is in `{named}`; this server's registry is `{registry}`");
        return Err(Problem::new(Code::AnotherRegistry, detail));
    }
    Ok(())
}

/// A document with complaints, rendered for people too.
pub fn complain(complaints: &[Complaint]) -> Problem {
    let detail = format!("{} complaints", complaints.len());
    let mut problem = Problem::new(Code::InvalidDocument, detail);
    let render = |c: &Complaint| {
        let mut value = serde_json::to_value(c).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("rendered".to_owned(), c.render().into());
        }
        value
    };
    problem.complaints = complaints.iter().map(render).collect();
    problem
}

/// Settings as they hold.
#[derive(Serialize)]
pub struct SettingsAnswer {
    /// The version.
    pub version: i64,
    /// The document, verbatim.
    pub document: String,
}

/// The settings of now.
pub async fn settings(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Path(name): Path<String>,
) -> Result<Json<SettingsAnswer>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let found = project::by_name(&mut conn, &name).await.map_err(failed)?;
    let found = found.ok_or_else(Problem::not_found)?;
    caller.must(Permission::See, found.id.as_str())?;
    let version = found.settings_version;
    let document = project::settings_document(&mut conn, found.id.as_str(), version).await;
    let document = document.map_err(failed)?.unwrap_or_default();
    Ok(Json(SettingsAnswer {
        version,
        document: String::from_utf8_lossy(&document).into_owned(),
    }))
}

/// A project in a list.
#[derive(Serialize)]
pub struct ProjectAnswer {
    /// Its name.
    pub name: String,
    /// The version of its settings.
    pub settings_version: i64,
}

/// The projects that the caller may see.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
) -> Result<Json<Vec<ProjectAnswer>>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let mut projects = project::list(&mut conn).await.map_err(failed)?;
    projects.retain(|project| caller.0.may(Permission::See, project.id.as_str()));
    let answer = |p: project::Project| ProjectAnswer {
        name: p.name.into(),
        settings_version: p.settings_version,
    };
    Ok(Json(projects.into_iter().map(answer).collect()))
}
