//! What a page answers when it has nothing to show: a code as the API has it, in people's words; never
//! inner text, never whether a thing is there that may not be seen.

use super::Copied;
use super::frame::plain;
use crate::http::Problem;
use crate::http::extract::opened_at;
use crate::http::middleware::RequestId;
use crate::http::problem::{Code, PROBLEM_JSON};
use askama::Template;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header};

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// There is no such thing, or it may not be seen.
    NotFound,
    /// They may see it, not do this; in words.
    NotPermitted(String),
    /// The form is not from this session, or not whole; in words.
    BadForm(String),
    /// An address that names something unreadable; in words.
    BadQuery(String),
    /// Something changed meanwhile: what, and in words.
    Conflict(Code, String),
    /// The code says it all: our fault, too much to do, a request in no form that can be read.
    Other(Code),
}

impl PageError {
    /// Logs our own error, once; what is put off because too much waits is said to be that.
    pub(super) fn log(error: impl std::error::Error + 'static) -> Self {
        Self::Other(Problem::internal(&error).code)
    }

    /// A form that another page sent, or one of an old session.
    pub(super) fn foreign_form() -> Self {
        Self::BadForm("This form is not from your session. Open the page again.".to_owned())
    }

    fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::NotPermitted(_) => Code::NotPermitted,
            Self::BadForm(_) | Self::BadQuery(_) => Code::BadRequest,
            Self::Conflict(code, _) | Self::Other(code) => *code,
        }
    }

    /// Icon, title, and what to do now.
    fn words(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::NotFound => said(StatusCode::NOT_FOUND),
            Self::NotPermitted(words) => ("refuse", "You may not do this", words),
            Self::BadForm(words) => ("warn", "This form cannot be used", words),
            Self::BadQuery(words) => ("search", "This address cannot be read", words),
            Self::Conflict(_, words) => ("warn", "Something changed meanwhile", words),
            Self::Other(code) => said(code.status()),
        }
    }
}

/// The words of a status, where nobody has better ones.
fn said(status: StatusCode) -> (&'static str, &'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => (
            "search",
            "There is no such page here",
            "It was never here, or you may not see it. An administrator can tell you which roles you have.",
        ),
        StatusCode::FORBIDDEN => (
            "refuse",
            "Another site sent this",
            "A browser sent it on behalf of another site, so nothing was done. Open the page here and try again.",
        ),
        StatusCode::REQUEST_TIMEOUT => (
            "clock",
            "This took too long",
            "The request did not come whole, or was not answered in time. Look whether it was done, then try again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "warn",
            "This is too long",
            "A form holds less than that. Go back and shorten what you wrote.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "hold",
            "More is asked than can be done now",
            "Nothing was changed. Try again in a moment.",
        ),
        status if status.is_client_error() => (
            "warn",
            "This cannot be read",
            "It does not have the form that is wanted here. Go back, open the page again and try once more.",
        ),
        _ => (
            "fail",
            "Something went wrong here",
            "It is in the server's log, under the request's id. Nothing was changed; try again.",
        ),
    }
}

#[derive(Template, Clone)]
#[template(path = "error.html")]
struct Shown {
    title: &'static str,
    icon: &'static str,
    words: String,
    status: u16,
    code: &'static str,
    /// The page that the form stood on.
    back: Option<String>,
    /// What the server's log has it under, where it has to do with it.
    request: Option<Copied>,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (code, (icon, title, words)) = (self.code(), self.words());
        let status = code.status();
        let shown = Shown {
            title,
            icon,
            words: words.to_owned(),
            status: status.as_u16(),
            code: code.as_str(),
            back: None,
            request: None,
        };
        let mut response = plain(status, &shown);
        response.extensions_mut().insert(shown);
        if let Some(after) = code.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}

/// What was refused on the way to a page, as a problem or in the framework's plain words, becomes a page, and
/// each such page says where to go on and what to ask the log for.
pub async fn told_as_page(request: Request, next: Next) -> Response {
    let back = (request.method() != Method::GET).then(|| opened_at(request.uri().path()));
    let id = request.extensions().get::<RequestId>().cloned();
    with_ways(as_page(next.run(request).await), back, id)
}

/// A thing that is not there is no way on; what a person did wrong is not in the log.
fn with_ways(mut response: Response, back: Option<String>, id: Option<RequestId>) -> Response {
    let status = response.status();
    let Some(mut shown) = response.extensions_mut().remove::<Shown>() else {
        return response;
    };
    shown.back = back.filter(|_| status != StatusCode::NOT_FOUND);
    let id = id.filter(|_| status.is_server_error());
    shown.request = id.map(|id| Copied::full("request id", id.0));
    *response.body_mut() = plain(status, &shown).into_body();
    response
}

fn as_page(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or("", |kind| kind.to_str().unwrap_or_default());
    let is_plain = kind.is_empty() || kind.starts_with("text/plain") || kind == PROBLEM_JSON;
    if !(status.is_client_error() || status.is_server_error()) || !is_plain {
        return response;
    }
    let problem = response.extensions().get::<Problem>();
    let code = problem.map_or_else(|| Code::of(status), |problem| problem.code);
    let mut told = PageError::Other(code).into_response();
    // A status that no code has, and `Allow` of a 405, stay.
    *told.status_mut() = status;
    for (name, value) in response.headers() {
        if !told.headers().contains_key(name) && name != header::CONTENT_LENGTH {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

/// Any path that nothing answers to.
pub async fn fallback(uri: Uri) -> Response {
    let api = ["/api/", "/hooks/", "/registry/"];
    if api.iter().any(|start| uri.path().starts_with(start)) {
        return Problem::not_found().into_response();
    }
    PageError::NotFound.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    #[test]
    fn a_full_queue_is_no_fault_on_a_page_either() {
        let busy = PageError::log(db::Error::Busy(10_000)).into_response();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()[header::RETRY_AFTER], "2");
        let broken = PageError::log(db::Error::Collided("run.cancel")).into_response();
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!broken.headers().contains_key(header::RETRY_AFTER));
    }

    #[tokio::test]
    async fn a_page_of_an_error_says_where_to_go_on_and_what_to_ask_the_log_for() {
        let told = async |error: PageError| {
            let id = RequestId("0190-id".to_owned());
            let told = with_ways(
                error.into_response(),
                Some("/projects/shop".to_owned()),
                Some(id),
            );
            let body = axum::body::to_bytes(told.into_body(), 64 * 1024).await;
            let text = String::from_utf8(body.unwrap().to_vec()).unwrap();
            (
                text.contains("href=\"/projects/shop\""),
                text.contains("0190-id"),
            )
        };
        let late = PageError::Conflict(Code::RunOver, "It had ended.".to_owned());
        assert_eq!(told(late).await, (true, false));
        assert_eq!(told(PageError::NotFound).await, (false, false));
        let broken = PageError::log(db::Error::Collided("run.cancel"));
        assert_eq!(told(broken).await, (true, true));
    }

    #[test]
    fn people_get_a_page_whoever_refused() {
        let plain = (StatusCode::UNPROCESSABLE_ENTITY, "missing field `csrf`").into_response();
        let allowed = [(header::ALLOW, "GET")];
        let method = (StatusCode::METHOD_NOT_ALLOWED, allowed).into_response();
        for (refused, status) in [
            (plain, 422),
            (method, 405),
            (Problem::busy().into_response(), 503),
        ] {
            let allow = refused.headers().get(header::ALLOW).cloned();
            let told = as_page(refused);
            assert_eq!(told.status(), status);
            assert_eq!(
                told.headers()[header::CONTENT_TYPE],
                "text/html; charset=utf-8"
            );
            assert_eq!(told.headers().get(header::ALLOW), allow.as_ref());
        }
        let good = as_page("a log".into_response());
        assert_eq!(
            good.headers()[header::CONTENT_TYPE],
            "text/plain; charset=utf-8"
        );
    }
}
