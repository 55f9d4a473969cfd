//! Both sides name the protocol's version; another one is told what is spoken here.

use super::Refused;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use contract::protocol::{PROTOCOL_HEADER, PROTOCOL_VERSION, RefusalCode};
use http::HeaderValue;

/// Refuses another version with 426; names ours in every answer.
pub async fn protocol_version(request: Request, next: Next) -> Response {
    let spoken = request.headers().get(PROTOCOL_HEADER);
    let mut response = if spoken.is_some_and(|version| version == PROTOCOL_VERSION) {
        next.run(request).await
    } else {
        let message = format!("this server speaks {PROTOCOL_HEADER}: {PROTOCOL_VERSION}");
        Refused::new(RefusalCode::ProtocolVersion, message).into_response()
    };
    response.headers_mut().insert(
        http::HeaderName::from_static("sallyport-protocol"),
        HeaderValue::from_static(PROTOCOL_VERSION),
    );
    response
}
