//! `POST /api/v1/users`, `GET /api/v1/users`, `POST /api/v1/users/{name}/tokens`.

use crate::app::App;
use crate::http::extract::{ApiCaller, client_address};
use crate::http::problem::{Code, Problem};
use crate::identity::{self, Actor, AddOutcome, Grant, NewPerson, Permission, PersonRow, Role};
use axum::Json;
use axum::extract::{Path, State};
use contract::name::Name;
use http::{Extensions, HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A person to add.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// The name that they sign in with.
    pub name: Name,
    /// The name that people read; the sign-in name when it is not given.
    pub display_name: Option<String>,
    /// An address that the administrator vouches for.
    pub email: Option<String>,
    /// Roles, for all projects.
    pub roles: Vec<Role>,
    /// The first password.
    pub password: Zeroizing<String>,
}

/// A person who is there.
#[derive(Serialize)]
pub struct User {
    /// Id.
    pub id: String,
    /// Sign-in name.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// Roles for all projects.
    pub roles: Vec<Role>,
}

/// Adds a person.
pub async fn add(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    Json(body): Json<AddUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    caller.must_everywhere(Permission::Administer)?;
    let display_name = body.display_name.unwrap_or_else(|| body.name.to_string());
    let new = NewPerson {
        name: body.name.clone(),
        display_name: display_name.clone(),
        email: body.email,
        grants: body
            .roles
            .iter()
            .map(|role| Grant {
                role: *role,
                project_id: None,
            })
            .collect(),
        password: body.password,
    };
    let outcome = identity::add(&app.ground, &app.passwords, &caller.0.actor, new).await;
    let refuse = |code, detail: String| Err(Problem::new(code, detail));
    match outcome.map_err(|error| Problem::internal(&error))? {
        AddOutcome::Added(id) => {
            let name = body.name.into();
            Ok((
                StatusCode::CREATED,
                Json(User {
                    id: id.into(),
                    name,
                    display_name,
                    roles: body.roles,
                }),
            ))
        }
        AddOutcome::NameTaken => refuse(
            Code::NameTaken,
            format!("there is a person `{}` already", body.name),
        ),
        AddOutcome::EmailTaken => refuse(
            Code::EmailTaken,
            "the address belongs to another person".to_owned(),
        ),
        AddOutcome::PasswordLength { min, max } => refuse(
            Code::PasswordLength,
            format!("a password has {min} to {max} bytes"),
        ),
    }
}

/// Everybody.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
) -> Result<Json<Vec<User>>, Problem> {
    caller.must_everywhere(Permission::Administer)?;
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let people = identity::people(&mut conn).await.map_err(failed)?;
    let user = |(person, grants): (identity::PersonRow, Vec<Grant>)| User {
        id: person.id,
        name: person.name,
        display_name: person.display_name,
        roles: grants.iter().map(|grant| grant.role).collect(),
    };
    Ok(Json(people.into_iter().map(user).collect()))
}

/// A token to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeToken {
    /// What it is for.
    pub name: String,
    /// The person's own password: then the token is one that they made themself.
    pub password: Option<Zeroizing<String>>,
}

/// A token, shown this once.
#[derive(Serialize)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// The text.
    pub token: String,
}

/// Makes a token with the person's rights. With their password it is theirs; otherwise it is an
/// administrator's act, and what is done by it counts as nobody's in particular.
pub async fn make_token(
    State(app): State<Arc<App>>,
    caller: Result<ApiCaller, Problem>,
    (extensions, headers): (Extensions, HeaderMap),
    Path(name): Path<String>,
    Json(body): Json<MakeToken>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let (person, actor) = match body.password {
        Some(password) => {
            let proxies = &app.config.server.trusted_proxies;
            let address = client_address(proxies, &extensions, &headers);
            let person = proven(&app, address, &name, password).await?;
            let id = person.person_id().map_err(failed)?;
            let name = person.name;
            (id.clone(), Actor::Person { id, name })
        }
        None => {
            let caller = caller?;
            caller.must_everywhere(Permission::Administer)?;
            let mut conn = app.ground.db.reader().await.map_err(failed)?;
            let found = identity::person_by_name(&mut conn, &name).await;
            let person = found.map_err(failed)?.ok_or_else(Problem::not_found)?;
            (person.person_id().map_err(failed)?, caller.0.actor)
        }
    };
    let made = identity::make_token(&app.ground, &actor, &person, &body.name).await;
    let made = made.map_err(|error| Problem::internal(&error))?;
    Ok((
        StatusCode::CREATED,
        Json(Token {
            id: made.id,
            token: made.secret.to_string(),
        }),
    ))
}

/// The person, when the password is theirs; as slow to guess as at the sign-in page.
async fn proven(
    app: &App,
    address: Option<IpAddr>,
    name: &str,
    password: Zeroizing<String>,
) -> Result<PersonRow, Problem> {
    let now = app.ground.now();
    if !app.sign_ins.may_try(name, address, now) {
        let detail = "too many failed tries: wait some minutes";
        return Err(Problem::new(Code::TooManyTries, detail));
    }
    let found = identity::prove(&app.ground, &app.passwords, name, password).await;
    match found.map_err(|error| Problem::internal(&error))? {
        Some(person) => {
            app.sign_ins.succeeded(name, address, now);
            Ok(person)
        }
        None => {
            app.sign_ins.failed(name, address, now);
            let detail = "name or password is wrong";
            Err(Problem::new(Code::WrongPassword, detail))
        }
    }
}
