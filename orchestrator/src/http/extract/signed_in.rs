//! Who looks at a page: the session behind the cookie. Without one: the sign-in page.

use crate::app::App;
use crate::http::Problem;
use crate::identity::{self, Permission, Session};
use crate::promotion;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use http::request::Parts;
use http::{Method, header};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// A person with a session.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The cookie's value, to sign out.
    pub cookie: String,
    /// How many promotions wait for their answer: every page says so. Only counted for pages that are
    /// looked at, and for people who may answer any.
    pub waiting: usize,
}

impl SignedIn {
    /// Whether a form carries this session's token.
    pub fn is_own_form(&self, csrf: &str) -> bool {
        self.session.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }

    /// Whether they may see this project.
    pub fn may_see(&self, project_id: &str) -> bool {
        self.session.caller.may(Permission::See, project_id)
    }
}

/// Why there is no session.
pub enum NoSession {
    /// Nobody is signed in: to the sign-in page, and back afterwards.
    SignIn(String),
    /// It could not be found out.
    Problem(Problem),
}

impl IntoResponse for NoSession {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(to) => Redirect::to(&to).into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = NoSession;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, NoSession> {
        let jar = CookieJar::from_headers(&parts.headers);
        let sign_in = || {
            let (back, undone) = if parts.method == Method::GET {
                let own = parts.uri.path_and_query().map_or("/", |p| p.as_str());
                (own, "")
            } else {
                (
                    page_of_form(parts, &app.config.server.public_url),
                    "undone=1&",
                )
            };
            let back: String = back.bytes().flat_map(encode).map(char::from).collect();
            NoSession::SignIn(format!("/sign-in?{undone}back={back}"))
        };
        let name = cookie_name(app.config.is_https());
        let cookie = jar
            .get(name)
            .map(|c| c.value().to_owned())
            .ok_or_else(sign_in)?;
        let found = identity::of_cookie(&app.ground, &cookie).await;
        match found.map_err(|error| NoSession::Problem(Problem::internal(&error)))? {
            Some(session) => {
                let waiting = waiting(app, &session, &parts.method).await;
                let waiting = waiting.map_err(NoSession::Problem)?;
                Ok(Self {
                    session,
                    cookie,
                    waiting,
                })
            }
            None => Err(sign_in()),
        }
    }
}

/// The page of ours that a form was sent from: where it was sent to can only be sent to.
fn page_of_form<'p>(parts: &'p Parts, public_url: &str) -> &'p str {
    let from = parts.headers.get(header::REFERER);
    let from = from.and_then(|value| value.to_str().ok());
    let path = from.and_then(|from| from.strip_prefix(public_url));
    path.filter(|path| path.starts_with('/')).unwrap_or("/")
}

async fn waiting(app: &App, session: &Session, method: &Method) -> Result<usize, Problem> {
    let caller = &session.caller;
    let reach = caller.reach(Permission::Approve);
    if reach.is_nowhere() || method != Method::GET {
        return Ok(0);
    }
    let mut conn = app.ground.db.reader().await;
    let conn = conn.as_mut().map_err(|error| Problem::internal(error))?;
    let asking = promotion::asking(conn, caller.actor.person(), &reach, app.ground.now()).await;
    let (mine, _) = asking.map_err(|error| Problem::internal(&error))?;
    Ok(mine.len())
}

/// Percent-encodes all but what a path and query need to stay readable.
fn encode(byte: u8) -> Vec<u8> {
    if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
        vec![byte]
    } else {
        format!("%{byte:02X}").into_bytes()
    }
}

/// `__Host-session` under https; `session` under http, which is only localhost (DECISIONS 10).
pub fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-session" } else { "session" }
}

/// The cookie of a new session.
pub fn session_cookie(https: bool, value: String) -> Cookie<'static> {
    Cookie::build((cookie_name(https), value))
        .path("/")
        .secure(https)
        .http_only(true)
        .same_site(SameSite::Lax)
        .build()
}

/// Makes the browser forget the session.
pub fn clear_cookie(https: bool) -> Cookie<'static> {
    let mut cookie = session_cookie(https, String::new());
    cookie.make_removal();
    cookie
}
