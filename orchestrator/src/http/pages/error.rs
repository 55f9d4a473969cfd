//! What a page answers when it has nothing to show: never inner text, never whether a thing is
//! there that may not be seen.

use super::frame::plain;
use crate::http::Problem;
use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};

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
    /// Something changed meanwhile; in words.
    Conflict(String),
    /// Our fault; it is in the log.
    Internal,
}

impl PageError {
    /// Logs our own error, once.
    pub(super) fn log(error: impl std::error::Error + 'static) -> Self {
        drop(Problem::internal(&error));
        Self::Internal
    }

    /// A form that another page sent, or one of an old session.
    pub(super) fn foreign_form() -> Self {
        Self::BadForm("This form is not from your session. Open the page again.".to_owned())
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct Shown<'a> {
    title: &'static str,
    icon: &'static str,
    words: &'a str,
    status: u16,
    code: &'static str,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, code, icon, title, words) = match &self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not-found",
                "search",
                "There is no such page here",
                "It was never here, or you may not see it. An administrator can tell you which roles you have.",
            ),
            Self::NotPermitted(words) => (
                StatusCode::FORBIDDEN,
                "not-permitted",
                "refuse",
                "You may not do this",
                words.as_str(),
            ),
            Self::BadForm(words) => (
                StatusCode::BAD_REQUEST,
                "bad-form",
                "warn",
                "This form cannot be used",
                words.as_str(),
            ),
            Self::BadQuery(words) => (
                StatusCode::BAD_REQUEST,
                "bad-query",
                "search",
                "This address cannot be read",
                words.as_str(),
            ),
            Self::Conflict(words) => (
                StatusCode::CONFLICT,
                "conflict",
                "warn",
                "Something changed meanwhile",
                words.as_str(),
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "fail",
                "Something went wrong here",
                "It is in the server's log. Nothing was changed; try again.",
            ),
        };
        let shown = Shown {
            title,
            icon,
            words,
            status: status.as_u16(),
            code,
        };
        plain(status, &shown)
    }
}

/// Any path that nothing answers to.
pub async fn fallback(uri: Uri) -> Response {
    let api = ["/api/", "/hooks/", "/registry/"];
    if api.iter().any(|start| uri.path().starts_with(start)) {
        return Problem::not_found().into_response();
    }
    PageError::NotFound.into_response()
}
