//! `GET /healthz`, `GET /readyz`, `GET /metrics`: what whoever looks after the server asks it.

use super::extract::{ApiCaller, Peer};
use super::problem::Problem;
use crate::app::App;
use crate::identity::Permission;
use crate::metrics::{self, Open};
use crate::{db, promotion, run, step};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Extensions, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

/// A database that takes longer is not fit for work, and whoever asks has not for ever.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The process is alive.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work: the database can be read and written, and every stage passes. What
/// does not is said, a line each.
pub async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let mut wrong = Vec::new();
    if !matches!(
        tokio::time::timeout(ANSWER_MAX, can_read(&app)).await,
        Ok(Ok(()))
    ) {
        wrong.push("the database does not answer".to_owned());
    }
    // Nothing is written; it says that the writer takes a transaction and ends it.
    let writing = app
        .ground
        .db
        .write_guarded("ready.ask", |_| Box::pin(async { Ok::<_, db::Error>(()) }));
    if !matches!(tokio::time::timeout(ANSWER_MAX, writing).await, Ok(Ok(()))) {
        wrong.push("the database cannot be written".to_owned());
    }
    wrong.extend(app.health.wrong());
    if wrong.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n")
}

async fn can_read(app: &App) -> Result<(), db::Error> {
    let mut conn = app.ground.db.reader().await?;
    crate::instance::instance(&mut conn).await.map(|_| ())
}

/// Everything that is counted. At the public entrance only where the configuration says so, and for
/// who may see everything: how much is going on is nobody else's business.
pub async fn metrics(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    caller: Result<ApiCaller, Problem>,
) -> Result<Response, Problem> {
    let is_host = extensions.get::<Peer>().is_some();
    if !is_host && !app.config.server.metrics {
        return Err(Problem::not_found());
    }
    caller?.must_everywhere(Permission::See)?;
    let failed = |error: db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let open = Open {
        runs: run::open_by_state(&mut conn).await.map_err(failed)?,
        steps: step::open_by_state(&mut conn).await.map_err(failed)?,
        promotions: promotion::open_by_state(&mut conn).await.map_err(failed)?,
    };
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((kind, metrics::metrics().text(&open)).into_response())
}
