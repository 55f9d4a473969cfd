//! The whole URL table, one line a route. A test reads it: every route stands in the authorisation table
//! (`tests/tests/authorisation.rs`), and what programs use in docs/api.md.

use super::middleware::{public_host_only, request_id, security_headers};
use super::worker_api::{self, Entrance, protocol_version};
use super::{api, health, hooks, pages};
use crate::app::App;
use crate::id::IdSource;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use contract::protocol::{LOG_CHUNK_BYTES_MAX, REPORT_BYTES_MAX};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tower_http::csrf::CsrfLayer;
use tower_http::timeout::TimeoutLayer;

/// Pages, API, hooks, `/registry/token`: the entrance for people and forges.
pub fn public(app: Arc<App>) -> Router {
    Router::new()
        .merge(upkeep())
        .merge(api())
        .route("/registry/token", get(super::registry_token::token))
        .merge(deliveries())
        .layer(CsrfLayer::new())
        .merge(people())
        .fallback(pages::fallback)
        .layer(from_fn_with_state(Arc::clone(&app), public_host_only))
        .layer(from_fn(security_headers))
        .layer(from_fn_with_state(ids(&app), request_id))
        .with_state(app)
}

/// A request of people or programs as a whole, until its answer begins: what is read from a disk or a
/// database comes in a moment, a live log's head too.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// An import of advisories is read, checked and stored before its answer.
const IMPORT_MAX: Duration = Duration::from_secs(15 * 60);

fn timeout(after: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, after)
}

fn deliveries() -> Router<Arc<App>> {
    Router::new()
        .route("/hooks/{hook}", post(hooks::receive::receive))
        .layer(timeout(REQUEST_MAX))
}

/// `admin.sock`: the API for users of this host.
pub fn admin(app: Arc<App>) -> Router {
    Router::new()
        .merge(upkeep())
        .merge(api())
        .fallback(pages::fallback)
        .layer(from_fn_with_state(ids(&app), request_id))
        .with_state(app)
}

fn ids(app: &Arc<App>) -> Arc<dyn IdSource> {
    Arc::clone(&app.ground.ids)
}

/// A message of the worker protocol is a few KiB; a hello with all its rules is the longest.
const WORKER_MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// A request of a worker as a whole: 64 MiB over a slow line, and longer than a claim waits.
const WORKER_REQUEST_MAX: Duration = Duration::from_secs(300);

/// `/worker/v1`: the entrance for workers.
pub fn workers(entrance: Entrance) -> Router {
    let lease = |path: &str| format!("/worker/v1/leases/{{step}}/{{fence}}/{path}");
    Router::new()
        .route("/worker/v1/enrol", post(worker_api::enrol::enrol))
        .route("/worker/v1/hello", post(worker_api::hello::hello))
        .route("/worker/v1/claim", post(worker_api::claim::claim))
        .route(&lease("heartbeat"), post(worker_api::heartbeat::heartbeat))
        .route(
            &lease("log/{sequence}"),
            put(worker_api::log::append).layer(DefaultBodyLimit::max(LOG_CHUNK_BYTES_MAX)),
        )
        // An artifact is bounded while it streams.
        .route(
            &lease("artifacts/{sequence}"),
            put(worker_api::artifact::store).layer(DefaultBodyLimit::disable()),
        )
        .route(&lease("source"), get(worker_api::source::source))
        .route(
            &lease("registry-token"),
            post(worker_api::registry_token::registry_token),
        )
        .route(
            &lease("report"),
            post(worker_api::report::report).layer(DefaultBodyLimit::max(REPORT_BYTES_MAX)),
        )
        .layer(DefaultBodyLimit::max(WORKER_MESSAGE_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            WORKER_REQUEST_MAX,
        ))
        .layer(from_fn(protocol_version))
        .layer(from_fn_with_state(
            Arc::clone(&entrance.ground.ids),
            request_id,
        ))
        .with_state(entrance)
}

fn upkeep() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}

fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/users", post(api::users::add).get(api::users::list))
        .route("/api/v1/users/{name}/tokens", post(api::users::make_token))
        .route("/api/v1/projects", get(api::projects::list))
        .route(
            "/api/v1/projects/{project}/settings",
            get(api::projects::settings).put(api::projects::apply),
        )
        .route("/api/v1/workers", get(api::workers::list))
        .route(
            "/api/v1/projects/{project}/hooks",
            post(api::hooks::add).get(api::hooks::list),
        )
        .route(
            "/api/v1/projects/{project}/hooks/{hook}/disable",
            post(api::hooks::disable),
        )
        .route(
            "/api/v1/projects/{project}/hooks/{hook}/secret",
            post(api::hooks::rotate),
        )
        .route("/api/v1/workers/tokens", post(api::workers::make_token))
        .route("/api/v1/workers/{name}/{act}", post(api::workers::act))
        .route("/api/v1/projects/{project}/runs", get(api::runs::list))
        .route(
            "/api/v1/projects/{project}/runs/{number}",
            get(api::runs::show),
        )
        .route(
            "/api/v1/projects/{project}/runs/{number}/cancel",
            post(api::runs::cancel),
        )
        .route(
            "/api/v1/projects/{project}/runs/{number}/again",
            post(api::runs::again),
        )
        .route(
            "/api/v1/projects/{project}/runs/{number}/steps/{step}/log",
            get(api::runs::log),
        )
        .route(
            "/api/v1/projects/{project}/promotions",
            get(api::promotions::list),
        )
        .route(
            "/api/v1/projects/{project}/environments/{environment}/promotions",
            post(api::promotions::request),
        )
        .route("/api/v1/promotions/{id}", get(api::promotions::show))
        .route(
            "/api/v1/promotions/{id}/withdraw",
            post(api::promotions::withdraw),
        )
        .route(
            "/api/v1/promotions/{id}/give-up",
            post(api::promotions::give_up),
        )
        .layer(timeout(REQUEST_MAX))
        .route(
            "/api/v1/advisories",
            get(api::advisories::list)
                .put(api::advisories::import)
                .layer(timeout(IMPORT_MAX)),
        )
}

/// Forms of people are short; the longest holds a reason.
const FORM_BYTES_MAX: usize = 64 * 1024;

fn people() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/promotions/{id}",
            get(pages::promotion).post(pages::answer),
        )
        .route("/promotions/{id}/withdraw", post(pages::withdraw))
        .route("/approvals", get(pages::approvals))
        .route("/deliveries", get(pages::deliveries))
        .route("/deliveries/{id}", get(pages::delivery_page))
        .route("/deliveries/{id}/payload", post(pages::payload))
        .route("/log-entries", get(pages::audit_entries))
        .route("/workers", get(pages::workers))
        .route("/projects/{project}", get(pages::project))
        .route("/projects/{project}/runs", get(pages::runs))
        .route("/projects/{project}/runs/{number}", get(pages::run))
        .route(
            "/projects/{project}/runs/{number}/again",
            post(pages::again),
        )
        .route(
            "/projects/{project}/runs/{number}/cancel",
            post(pages::cancel),
        )
        .route(
            "/projects/{project}/runs/{number}/artifacts/{artifact}",
            get(pages::artifact),
        )
        .route(
            "/projects/{project}/runs/{number}/steps/{step}",
            get(pages::log),
        )
        .route(
            "/projects/{project}/runs/{number}/steps/{step}/events",
            get(pages::events),
        )
        .route(
            "/projects/{project}/runs/{number}/steps/{step}/log",
            get(pages::raw),
        )
        .route("/projects/{project}/findings", get(pages::findings))
        .route("/projects/{project}/environments", get(pages::environments))
        .route(
            "/projects/{project}/environments/{environment}",
            post(pages::request),
        )
        .route("/", get(pages::home))
        .route("/sign-in", get(pages::sign_in_form).post(pages::sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/static/{hash}/{file}", get(pages::file))
        .route("/docs/names/{kind}/{name}", get(pages::name))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(timeout(REQUEST_MAX))
        .layer(CsrfLayer::new())
        // Outermost: whoever refused, people read a page.
        .layer(from_fn(pages::told_as_page))
}
