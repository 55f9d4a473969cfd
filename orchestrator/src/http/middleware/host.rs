//! A Host other than public_url's is refused (DECISIONS 10): no rebinding, no poisoned links.

use crate::app::App;
use crate::http::problem::{Code, Problem};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;
use std::sync::Arc;

/// Lets only requests for our own host through; health checks come by address.
pub async fn public_host_only(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let own = app.config.public_host();
    let health = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    if health || named.is_some_and(|host| host.eq_ignore_ascii_case(own)) {
        return next.run(request).await;
    }
    let detail = format!("this server answers as {own} only ([server] public-url)");
    Problem::new(Code::WrongHost, detail).into_response()
}
