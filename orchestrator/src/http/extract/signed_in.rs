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
        let sign_in = || NoSession::SignIn(sign_in_at(parts, &app.config.server.public_url));
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

/// The sign-in page that leads back to a page. What was sent is not sent again: it leads to where the form
/// stood, and says that nothing was done.
fn sign_in_at(parts: &Parts, public_url: &str) -> String {
    let (back, out) = if parts.method == Method::GET {
        let asked = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        (asked.to_owned(), "")
    } else {
        let stood = referer(parts, public_url).map(str::to_owned);
        (
            stood.unwrap_or_else(|| opened_at(parts.uri.path())),
            "&out=",
        )
    };
    let back: String = back.bytes().flat_map(encode).map(char::from).collect();
    format!("/sign-in?back={back}{out}")
}

/// The page of ours that a browser says the form stood on.
fn referer<'p>(parts: &'p Parts, public_url: &str) -> Option<&'p str> {
    let referer = parts.headers.get(header::REFERER)?.to_str().ok()?;
    let path = referer.strip_prefix(public_url.trim_end_matches('/'))?;
    // Two slashes begin a host.
    let is_path = path.starts_with('/') && !path.starts_with("//");
    is_path.then_some(path)
}

/// Where the form of an act stands: a thing has a page at its address (`/promotions/{id}`), an act on it lies
/// below that.
pub fn opened_at(path: &str) -> String {
    // A browser would read a host in it.
    if path.starts_with("//") {
        return "/".to_owned();
    }
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/".to_owned(),
        Some((above, _)) if above.matches('/').count() > 1 => above.to_owned(),
        Some(_) => path.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const HERE: &str = "https://sally.example";

    fn led(method: &str, path: &str, referer: &str) -> String {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("referer", referer).body(()).unwrap();
        sign_in_at(&request.into_parts().0, HERE)
    }

    #[test]
    fn a_sign_in_leads_back_to_a_page() {
        let read = led("GET", "/deliveries?q=a", "https://sally.example/workers");
        assert_eq!(read, "/sign-in?back=/deliveries%3Fq%3Da");
        let sent = |referer: &str| led("POST", "/projects/shop/runs/7/again", referer);
        assert_eq!(
            sent("https://sally.example/projects/shop/runs/7?x=1"),
            "/sign-in?back=/projects/shop/runs/7%3Fx%3D1&out="
        );
        for foreign in [
            "",
            "https://evil.example/",
            "https://sally.example.evil.example/x",
            "https://sally.example@evil.example/x",
            "https://sally.example//evil.example/x",
            "/projects",
        ] {
            let led = sent(foreign);
            assert_eq!(led, "/sign-in?back=/projects/shop/runs/7&out=", "{foreign}");
        }
    }

    #[test]
    fn an_act_stands_on_the_page_of_its_thing() {
        for (act, page) in [
            ("/sign-out", "/"),
            ("//evil.example/x/y", "/"),
            ("/promotions/7", "/promotions/7"),
            ("/promotions/7/withdraw", "/promotions/7"),
            ("/deliveries/7/payload", "/deliveries/7"),
            ("/projects/shop/runs/7/cancel", "/projects/shop/runs/7"),
            (
                "/projects/shop/environments/prod",
                "/projects/shop/environments",
            ),
        ] {
            assert_eq!(opened_at(act), page, "{act}");
        }
    }
}
