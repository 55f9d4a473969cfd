//! API errors: RFC 9457 `application/problem+json` with a stable `code` (DECISIONS 6).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// When what was put off for too much work may be asked again.
const RETRY_AFTER_SECS: u16 = 2;
/// What a problem is written as.
pub const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal $status:ident,)+) => {
        /// Every code that a client can meet. Each is explained in docs/api.md; it is never renamed
        /// and never used for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The status that it comes with, always the same.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

codes! {
    /// Something went wrong on our side.
    Internal = "internal" INTERNAL_SERVER_ERROR,
    /// There is no such thing, or it may not be seen.
    NotFound = "not-found" NOT_FOUND,
    /// Nobody is signed in.
    NotSignedIn = "not-signed-in" UNAUTHORIZED,
    /// The password that was given is not theirs.
    WrongPassword = "wrong-password" UNAUTHORIZED,
    /// Too many failures for this name of late.
    TooManyTries = "too-many-tries" TOO_MANY_REQUESTS,
    /// They may see it, not do this.
    NotPermitted = "not-permitted" FORBIDDEN,
    /// A browser sent it on behalf of another site.
    CrossOrigin = "cross-origin" FORBIDDEN,
    /// The request names another host than this instance's.
    WrongHost = "wrong-host" MISDIRECTED_REQUEST,
    /// The path, query or body does not have the form that is wanted.
    BadRequest = "bad-request" BAD_REQUEST,
    /// The path is there, this method is not.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED,
    /// The request did not come whole in time.
    TooSlow = "too-slow" REQUEST_TIMEOUT,
    /// The body is longer than it may be.
    BodyTooLarge = "body-too-large" PAYLOAD_TOO_LARGE,
    /// A JSON body without `Content-Type: application/json`.
    WrongMediaType = "wrong-media-type" UNSUPPORTED_MEDIA_TYPE,
    /// The body is JSON and not the document that is wanted.
    BadDocument = "bad-document" UNPROCESSABLE_ENTITY,
    /// A document with complaints, all of them in `complaints`.
    InvalidDocument = "invalid-document" UNPROCESSABLE_ENTITY,
    /// The server has more to do than it can; nothing was done.
    Busy = "busy" SERVICE_UNAVAILABLE,

    /// No hook has this address and signature.
    NotVerified = "not-verified" UNAUTHORIZED,
    /// A delivery's body broke off.
    BodyTruncated = "body-truncated" BAD_REQUEST,
    /// A delivery without a body.
    BodyEmpty = "body-empty" BAD_REQUEST,
    /// The headers name no delivery id or event.
    DeliveryIdMalformed = "delivery-id-malformed" BAD_REQUEST,
    /// Another body came under this delivery id before.
    IdReused = "id-reused" CONFLICT,

    /// The name belongs to another person.
    NameTaken = "name-taken" CONFLICT,
    /// The address belongs to another person.
    EmailTaken = "email-taken" CONFLICT,
    /// A password is too short or too long.
    PasswordLength = "password-length" UNPROCESSABLE_ENTITY,
    /// A person is named who is not there.
    NoSuchPerson = "no-such-person" UNPROCESSABLE_ENTITY,
    /// A hook's secret is not one for its provider.
    InvalidSecret = "invalid-secret" UNPROCESSABLE_ENTITY,
    /// The settings document is of another project than the address.
    WrongProject = "wrong-project" CONFLICT,
    /// The settings name another registry than this server's.
    AnotherRegistry = "another-registry" UNPROCESSABLE_ENTITY,
    /// The settings were made from a version that no longer holds.
    SettingsConflict = "settings-conflict" CONFLICT,
    /// The worker is refused at the door, for ever.
    WorkerRevoked = "worker-revoked" CONFLICT,
    /// The run has ended already.
    RunOver = "run-over" CONFLICT,
    /// The run has not ended.
    RunOpen = "run-open" CONFLICT,
    /// The run has no release.
    NoRelease = "no-release" CONFLICT,
    /// A promotion of the same waits already.
    AlreadyRequested = "already-requested" CONFLICT,
    /// The promotion waits no more: it is being applied, or has ended.
    PromotionNotOpen = "promotion-not-open" CONFLICT,
    /// The release is in the environment now.
    AlreadyThere = "already-there" CONFLICT,
    /// The promotion is not being applied.
    NotApplying = "not-applying" CONFLICT,
    /// The archive holds no advisories that can be read.
    BadAdvisories = "bad-advisories" UNPROCESSABLE_ENTITY,
}

impl Code {
    /// The code of a refusal that came without one.
    pub fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::NotSignedIn,
            // Only the check of where a request comes from refuses so.
            StatusCode::FORBIDDEN => Self::CrossOrigin,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::WrongMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::BadDocument,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// When to try again, where that helps: writes wait in a queue that is written every few
    /// milliseconds, so a moment is enough.
    pub fn retry_after(self) -> Option<HeaderValue> {
        let is_passing = self.status() == StatusCode::SERVICE_UNAVAILABLE;
        is_passing.then(|| HeaderValue::from(RETRY_AFTER_SECS))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An error as a client of the API sees it: never inner text.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words, as RFC 9457 wants it of a problem without a `type` of its own.
    pub title: &'static str,
    /// What it is.
    pub code: Code,
    /// One sentence that says how to mend it.
    pub detail: String,
    /// The request's id, as it stands in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For documents: every complaint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<serde_json::Value>,
}

impl Problem {
    /// A problem with this code and sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            code,
            detail: detail.into(),
            request_id: None,
            complaints: Vec::new(),
        }
    }

    /// More is asked than can be done now: the same request is good a moment later.
    pub fn busy() -> Self {
        Self::new(
            Code::Busy,
            "more is asked than can be done now: try again in a moment",
        )
    }

    /// Something went wrong on our side, or too much waits (which is [`Problem::busy`]); it is logged
    /// here, once, and the client is told nothing of it.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut busy = is_busy(error);
        let mut source = error.source();
        while let Some(inner) = source {
            chain = format!("{chain}: {inner}");
            busy |= is_busy(inner);
            source = inner.source();
        }
        if busy {
            tracing::warn!(error = chain, "a request was put off");
            return Self::busy();
        }
        tracing::error!(error = chain, "a request failed");
        Self::unexplained()
    }

    /// Something went wrong on our side, and who noticed has logged it.
    pub fn unexplained() -> Self {
        Self::new(
            Code::Internal,
            "something went wrong here; it is in the server's log",
        )
    }

    /// There is no such thing, or it may not be seen: the same answer for both (DECISIONS 16).
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing here")
    }
}

/// The problem also travels beside its bytes, so that the middleware can add the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let content = [(header::CONTENT_TYPE, PROBLEM_JSON)];
        let mut response = (self.code.status(), content, body).into_response();
        if let Some(after) = self.code.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(crate::db::Error::Busy(_) | crate::db::Error::Closed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_kebab_case_and_stands_once() {
        let codes: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in codes {
            let kebab = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(
                kebab && !code.starts_with('-') && !code.ends_with('-'),
                "{code}"
            );
        }
        let failure =
            |code: &&Code| code.status().is_client_error() || code.status().is_server_error();
        assert!(Code::ALL.iter().all(|code| failure(&code)));
    }

    #[test]
    fn a_problem_says_what_rfc_9457_wants_and_never_inner_text() {
        let inner = std::io::Error::other("/var/lib/sallyport/sallyport.db is locked");
        let problem = serde_json::to_value(Problem::internal(&inner)).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "status": 500,
                "title": "Internal Server Error",
                "code": "internal",
                "detail": "something went wrong here; it is in the server's log",
            })
        );
    }

    #[test]
    fn a_full_queue_is_not_a_fault() {
        use crate::db;
        use crate::delivery::DeliveryError;
        let busy = DeliveryError::from(db::Error::Busy(10_000));
        let response = Problem::internal(&busy).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let broken = DeliveryError::from(db::Error::Collided("delivery.receive"));
        let problem = Problem::internal(&broken);
        assert_eq!((problem.status, problem.code), (500, Code::Internal));
    }
}
