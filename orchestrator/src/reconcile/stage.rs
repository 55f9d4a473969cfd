//! One stage's life: wait for the bell or the clock, pass, ring the next ones, again.

use super::bell::Bell;
use super::health::Health;
use crate::metrics::metrics;
use futures::future::BoxFuture;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The pause after a pass that failed as a whole (the database is away), so that it is not hammered.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing waited, or nothing could be done for now.
    #[default]
    Idle,
    /// Something was settled: the next stages may find it.
    Moved,
}

impl Progress {
    /// Moved when either did.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Moved { self } else { other }
    }
}

/// A stage's pass; an error is the whole pass's ("could not find out what waits").
pub type Pass = Box<dyn Fn() -> BoxFuture<'static, Result<Progress, anyhow::Error>> + Send + Sync>;

/// A stage: its pass, what wakes it, whom it wakes.
pub struct Stage {
    /// Its name, as in the house.
    pub name: &'static str,
    /// It passes at least this often.
    pub every: Duration,
    /// Its bell.
    pub bell: Bell,
    /// Whom it wakes when something moved.
    pub wakes: Vec<Bell>,
    /// The pass.
    pub pass: Pass,
    /// Where it is said how it goes.
    pub health: Health,
}

/// Runs a stage until `stop`.
pub async fn run(stage: Stage, stop: CancellationToken) {
    loop {
        let began = Instant::now();
        stage.health.begins(stage.name, began);
        let passed = (stage.pass)().await;
        stage.health.ended(stage.name, passed.is_ok());
        metrics().passed(stage.name, began.elapsed(), passed.is_ok());
        let pause = match passed {
            Ok(Progress::Moved) => {
                stage.wakes.iter().for_each(Bell::ring);
                // What it settled may have made more for itself to do.
                stage.bell.ring();
                stage.every
            }
            Ok(Progress::Idle) => stage.every,
            Err(error) => {
                tracing::error!(
                    stage = stage.name,
                    error = format!("{error:#}"),
                    "the pass failed"
                );
                FAILED_PAUSE
            }
        };
        tokio::select! {
            () = stage.bell.rung() => {}
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
