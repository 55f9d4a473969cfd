//! `GET /registry/token`: the registry's token service for people (DECISIONS 27): reading what their
//! projects have in the registry, with a token of theirs as the password. Nobody writes by it.

use super::problem::{Code, Problem};
use crate::app::App;
use crate::audit::{self, Record};
use crate::identity::{self, Caller, Permission};
use crate::project;
use crate::registry::{Access, TOKEN_LIFETIME};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use contract::image::Repository;
use contract::settings::Settings;
use http::{HeaderMap, header};
use serde::Serialize;
use std::sync::Arc;

/// Scopes of one request; an engine asks for one or two.
const SCOPES_MAX: usize = 16;

/// A token, in the words of distribution's specification.
#[derive(Serialize)]
pub struct TokenAnswer {
    token: String,
    access_token: String,
    expires_in: u64,
    issued_at: String,
}

/// A token for what the caller may read of what is asked; what they may not is left out.
pub async fn token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Some(caller) = caller(&app, &headers).await? else {
        let problem = Problem::new(
            Code::NotSignedIn,
            "sign in with any user name and a token of yours as the password",
        );
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"registry\"")];
        return Ok((challenge, problem).into_response());
    };
    let asked = scopes(query.as_deref().unwrap_or(""));
    let readable = readable(&app, &caller).await?;
    let access: Vec<Access> = asked
        .iter()
        .filter(|path| readable.iter().any(|settings| covers(settings, &app, path)))
        .map(|path| Access::pull(path))
        .collect();
    if !access.is_empty() {
        note(&app, &caller, &asked).await?;
    }
    let (now, ids) = (app.ground.now(), app.ground.ids.as_ref());
    let subject = caller.actor.to_string();
    let token = app
        .issuer
        .issue(now, ids, &subject, &access, TOKEN_LIFETIME);
    Ok(Json(TokenAnswer {
        access_token: token.clone(),
        token,
        expires_in: TOKEN_LIFETIME.as_secs(),
        issued_at: now.to_string(),
    })
    .into_response())
}

/// Who reads what is written down.
async fn note(app: &App, caller: &Caller, asked: &[String]) -> Result<(), Problem> {
    let (at, ids, actor) = (
        app.ground.now(),
        app.ground.ids.clone(),
        caller.actor.clone(),
    );
    let asked = asked.to_vec();
    let write = app.ground.db.write("registry.token", move |conn| {
        Box::pin(async move {
            let record =
                Record::new("registry.token-issued", "registry:pull", &actor).with("asked", asked);
            audit::append(conn, at, &*ids, record).await?;
            Ok::<_, crate::db::Error>(())
        })
    });
    write.await.map_err(|error| Problem::internal(&error))
}

async fn caller(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Basic "))
        .and_then(|text| BASE64.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((_, password)) = basic.as_deref().and_then(|text| text.split_once(':')) else {
        return Ok(None);
    };
    let found = identity::of_token(&app.ground, password).await;
    found.map_err(|error| Problem::internal(&error))
}

/// The repositories' paths that are asked for, reading only.
fn scopes(query: &str) -> Vec<String> {
    let Ok(pairs) = serde_urlencoded(query) else {
        return Vec::new();
    };
    pairs
        .iter()
        .filter(|(key, _)| key == "scope")
        .flat_map(|(_, value)| value.split(' '))
        .filter_map(|scope| {
            let path = scope.strip_prefix("repository:")?;
            let (path, actions) = path.rsplit_once(':')?;
            actions
                .split(',')
                .any(|action| action == "pull")
                .then(|| path.to_owned())
        })
        .take(SCOPES_MAX)
        .collect()
}

fn serde_urlencoded(query: &str) -> Result<Vec<(String, String)>, ()> {
    let uri: http::Uri = format!("/?{query}").parse().map_err(|_| ())?;
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map(|axum::extract::Query(pairs)| pairs)
        .map_err(|_| ())
}

/// The settings of the projects that the caller may see.
async fn readable(app: &App, caller: &Caller) -> Result<Vec<Settings>, Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let mut readable = Vec::new();
    for found in project::list(&mut conn).await.map_err(failed)? {
        if caller.may(Permission::See, found.id.as_str()) {
            let current = project::current_settings(&mut conn, found.id.as_str()).await;
            readable.extend(current.map_err(failed)?.map(|version| version.settings));
        }
    }
    Ok(readable)
}

/// Whether a repository is one of the project's: quarantine, an environment's, or a known one.
fn covers(settings: &Settings, app: &App, path: &str) -> bool {
    let name = &app.config.registry.name;
    let Ok(repository) = Repository::parse(&format!("{name}/{path}")) else {
        return false;
    };
    let below = |prefix: &Repository| {
        repository
            .as_str()
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    };
    below(&settings.quarantine)
        || settings
            .environments
            .iter()
            .any(|environment| below(&environment.repository))
        || contract::language::registry_matches(&settings.known_registries, &repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_a_push_alone_is_none() {
        let query = "service=r&scope=repository%3Aquarantine%2Fshop%2Fweb%3Apull%2Cpush&scope=repository:a/b:push&scope=registry:catalog:*";
        assert_eq!(scopes(query), ["quarantine/shop/web"]);
        assert!(scopes("").is_empty());
    }
}
