//! `sallyport serve`: runs the server until it is stopped.

use super::exit;
use crate::app::App;
use crate::config::{Config, Place};
use crate::lifecycle::Signals;
use crate::{delivery, flow, http, reconcile, telemetry};
use std::sync::Arc;
use std::time::Duration;

/// A database that hangs does not hold up the end for longer.
const LAST_WRITES: Duration = Duration::from_secs(10);

pub(super) async fn run(config: &Place) -> anyhow::Result<u8> {
    let config = Config::load(config)?;
    telemetry::start(config.log.format);
    let mut signals = Signals::listen()?;
    let app = App::open(config).await?;
    let (db, stop) = (app.ground.db.clone(), app.tasks.stop());
    app.tasks.start("database", async move {
        tokio::select! {
            () = db.ended() => {}
            () = stop.cancelled() => {}
        }
    });
    for stage in flow::stages(&app) {
        app.tasks
            .start(stage.name, reconcile::run(stage, app.tasks.stop()));
    }
    http::serve::public(&app).await?;
    http::serve::admin(&app)?;
    let entrance = http::worker_api::Entrance {
        ground: app.ground.clone(),
        keys: Arc::clone(&app.fleet),
        hands: app.steps.clone(),
        issuer: Arc::clone(&app.issuer),
        bells: app.bells.clone(),
        stop: app.tasks.stop(),
    };
    let workers = &app.config.worker;
    http::serve::workers(&app.tasks, entrance, workers.listen, &workers.names)?;
    tracing::info!(address = %app.config.server.listen, "serving {}", app.config.server.public_url);
    let good = app.tasks.run_to_end(&mut signals).await;
    // No entrance is open any more: what they counted is written before the database closes.
    let last = async {
        if let Err(error) = delivery::flush(&app.intake).await {
            tracing::error!(error = %error, "counted refusals could not be written");
        }
        app.ground.db.close().await;
    };
    if tokio::time::timeout(LAST_WRITES, last).await.is_err() {
        tracing::error!("the database does not answer: the last counts are lost");
    }
    Ok(if good { exit::YES } else { exit::COULD_NOT })
}
