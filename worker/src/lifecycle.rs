//! Starting and stopping: a first request to stop lets leases finish for a while, a second ends
//! everything at once.

use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How this process stops. Clones are the same.
#[derive(Clone, Default)]
pub struct Stopping {
    /// Claim nothing new.
    pub soft: CancellationToken,
    /// End what runs.
    pub hard: CancellationToken,
    /// Every task of this process.
    pub tasks: TaskTracker,
}

impl Stopping {
    /// Listens to SIGTERM and SIGINT from now on.
    pub fn listen(&self, grace: Duration) -> std::io::Result<()> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let stopping = self.clone();
        self.tasks.spawn(async move {
            stopping.upon(terminate, interrupt, grace).await;
        });
        Ok(())
    }

    async fn upon(self, mut terminate: Signal, mut interrupt: Signal, grace: Duration) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.hard.cancelled() => return,
        }
        tracing::info!(?grace, "stopping: leases may finish");
        self.soft.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(grace) => {}
            () = self.hard.cancelled() => return,
        }
        tracing::info!("stopping now");
        self.hard.cancel();
    }
}
