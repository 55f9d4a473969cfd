//! Starting and stopping: every task has an owner; a soft stop, then a hard one.

use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs a process's whole work. At its end no thread that is blocked is waited for: a name server that
/// never answers would hold up `git push`, and a hung disk the server's hard stop.
pub fn run<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// What is under way may take this long after the first signal.
const SOFT_STOP: Duration = Duration::from_secs(20);

/// The tasks of one process.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// Starts a task that should live until the stop; one that ends by itself stops the process.
    #[expect(clippy::disallowed_methods, reason = "the owner of tasks spawns them")]
    pub fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, failed) = (self.stop.clone(), self.failed.clone());
        // Two layers, so that a panic inside is seen as an end, too.
        let inner = tokio::spawn(task);
        self.tracker.spawn(async move {
            let ended = inner.await;
            if !stop.is_cancelled() {
                tracing::error!(
                    task = name,
                    panicked = ended.is_err(),
                    "a task ended by itself"
                );
                failed.cancel();
                stop.cancel();
            }
        });
    }

    /// Starts work that ends by itself and is waited for at the stop.
    pub fn work(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Is cancelled when the process stops.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for a signal or a failed task, then for the tasks; false when it has to be a non-zero exit.
    pub async fn run_to_end(&self, signals: &mut Signals) -> bool {
        tokio::select! {
            () = signals.next() => tracing::info!("stopping: finishing what is under way"),
            () = self.stop.cancelled() => {}
        }
        self.stop.cancel();
        tokio::select! {
            () = self.ended() => {}
            () = signals.next() => tracing::warn!("stopping hard: signalled again"),
        }
        !self.failed.is_cancelled()
    }

    /// Waits, after the stop, for the tasks; not for ever.
    pub async fn ended(&self) {
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = tokio::time::sleep(SOFT_STOP) => tracing::warn!("stopping hard: something is still under way"),
        }
    }
}

/// SIGTERM and SIGINT.
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Listens from now on. Before a process opens its first entrance: a signal that finds nobody
    /// listening ends it in the middle of what that entrance let in.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    #[test]
    fn a_blocked_thread_does_not_hold_up_the_end() {
        let (free, blocked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let began = Instant::now();
        let work = async move {
            // As the resolver's thread is.
            tokio::task::spawn_blocking(move || {
                let _started = tell.send(());
                let _waited = blocked.recv_timeout(Duration::from_secs(60));
            });
            7
        };
        assert_eq!(run(work).unwrap(), 7);
        drop(told);
        assert!(began.elapsed() < Duration::from_secs(30));
        drop(free);
    }
}
