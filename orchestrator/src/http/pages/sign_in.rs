//! `GET /sign-in`, `POST /sign-in`, `POST /sign-out`.

use super::{PageError, frame};
use crate::app::App;
use crate::http::extract::{SignedIn, clear_cookie, client_address, session_cookie};
use crate::identity::{self, SignInOutcome};
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum_extra::extract::CookieJar;
use http::{Extensions, HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct Back {
    back: Option<String>,
    /// There when something was sent without a session.
    out: Option<String>,
}

/// Name and password.
#[derive(Deserialize)]
pub struct SignIn {
    name: String,
    password: Zeroizing<String>,
    back: Option<String>,
}

/// A form with nothing but the session's token.
#[derive(Deserialize)]
pub struct Csrf {
    csrf: String,
}

impl Csrf {
    /// The token.
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Shown {
    host: String,
    back: String,
    name: String,
    error: Option<&'static str>,
    /// They sent something, and their session had ended.
    was_signed_out: bool,
}

/// The form.
pub async fn sign_in_form(State(app): State<Arc<App>>, Query(query): Query<Back>) -> Response {
    frame::page(&Shown {
        was_signed_out: query.out.is_some(),
        ..shown(&app, query.back, String::new(), None)
    })
}

/// Signs in.
pub async fn sign_in(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    headers: HeaderMap,
    jar: CookieJar,
    Form(form): Form<SignIn>,
) -> Result<Response, PageError> {
    let address = client_address(&app.config.server.trusted_proxies, &extensions, &headers);
    let now = app.ground.now();
    if !app.sign_ins.may_try(&form.name, address, now) {
        let error = "Too many failed tries. Wait some minutes, or sign in where you did before.";
        let shown = shown(&app, form.back, form.name, Some(error));
        return Ok(frame::plain(StatusCode::TOO_MANY_REQUESTS, &shown));
    }
    let outcome = identity::sign_in(&app.ground, &app.passwords, &form.name, form.password).await;
    match outcome.map_err(PageError::log)? {
        SignInOutcome::SignedIn(cookie) => {
            app.sign_ins.succeeded(&form.name, address, now);
            let cookie = session_cookie(app.config.is_https(), cookie.to_string());
            let to = local(form.back);
            Ok((jar.add(cookie), Redirect::to(&to)).into_response())
        }
        SignInOutcome::Refused => {
            app.sign_ins.failed(&form.name, address, now);
            let error = "Name or password is wrong.";
            let shown = shown(&app, form.back, form.name, Some(error));
            Ok(frame::plain(StatusCode::UNAUTHORIZED, &shown))
        }
    }
}

/// Signs out.
pub async fn sign_out(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    jar: CookieJar,
    Form(form): Form<Csrf>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(&form.csrf) {
        return Err(PageError::foreign_form());
    }
    let ended = identity::sign_out(&app.ground, &signed_in.cookie).await;
    ended.map_err(PageError::log)?;
    let jar = jar.add(clear_cookie(app.config.is_https()));
    Ok((jar, Redirect::to("/sign-in")).into_response())
}

fn shown(app: &App, back: Option<String>, name: String, error: Option<&'static str>) -> Shown {
    Shown {
        host: app.config.public_host().to_owned(),
        back: local(back),
        name,
        error,
        was_signed_out: false,
    }
}

/// Only a path of ours: nobody is sent elsewhere by a link to the sign-in page.
fn local(back: Option<String>) -> String {
    let is_ours = |path: &String| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.chars().all(|c| c.is_ascii_graphic() && c != '\\')
    };
    back.filter(is_ours).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_server() {
        let to = |path: &str| local(Some(path.to_owned()));
        assert_eq!(to("/projects/shop?x=1"), "/projects/shop?x=1");
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "/a\r\nSet-Cookie: x",
        ] {
            assert_eq!(to(foreign), "/", "{foreign:?}");
        }
    }
}
