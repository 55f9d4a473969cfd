//! The right to work on one step, as the worker holds it.
//!
//! Two things can be over, and they are not the same: the *work* (cancelled, too late, lease lost,
//! process stopping), upon which the containers end; and the *word* (lease lost, or nobody has
//! listened for too long), after which nothing more is said to the orchestrator.

use crate::control_plane::{Backoff, CallError, LeaseClient, Said};
use contract::protocol::{Refusal, RefusalCode};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After the step's deadline the worker still tries to say how it ended for this long: longer than
/// an orchestrator's restart, shorter than a person's patience.
pub const WORD_GRACE: Duration = Duration::from_secs(120);
/// When this process has to stop at once, an orchestrator that does not answer is waited for only so long.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// Shortest and longest time between two heartbeats, whatever the job says.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(200);
/// See [`HEARTBEAT_MIN`].
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(60);

/// Why the work ends before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The orchestrator asked for it.
    Cancelled,
    /// The step took longer than it may.
    Deadline,
    /// The lease has passed on.
    Lost,
    /// This process stops.
    Stopping,
    /// What is printed cannot be kept any more.
    NoLog,
}

/// Nothing more may be said under this lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is over")]
pub struct LeaseOver;

/// A request under the lease that brought no yes.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Nothing more may be said.
    #[error(transparent)]
    Over(#[from] LeaseOver),
    /// The orchestrator said no.
    #[error("the orchestrator refused: {}", .0.message)]
    Refused(Refusal),
    /// The orchestrator's word could not be had and repeating does not help.
    #[error(transparent)]
    Call(CallError),
}

/// One lease. Clones are the same lease.
#[derive(Clone)]
pub struct Lease {
    inner: Arc<Inner>,
}

struct Inner {
    client: LeaseClient,
    stop: CancellationToken,
    work: CancellationToken,
    word: CancellationToken,
    ending: OnceLock<Ending>,
    phase: Mutex<&'static str>,
    work_until: Instant,
}

impl Lease {
    /// A lease whose work may take this long from now on. `stop` is the process's hard stop.
    pub fn new(client: LeaseClient, timeout: Duration, stop: &CancellationToken) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                stop: stop.clone(),
                work: stop.child_token(),
                word: CancellationToken::new(),
                ending: OnceLock::new(),
                phase: Mutex::new("starting"),
                work_until: Instant::now() + timeout,
            }),
        }
    }

    /// Cancelled when the containers are to end.
    pub fn work(&self) -> &CancellationToken {
        &self.inner.work
    }

    /// Why the work ends early, if it does.
    pub fn ending(&self) -> Option<Ending> {
        match self.inner.ending.get() {
            Some(ending) => Some(*ending),
            None if self.inner.work.is_cancelled() => Some(Ending::Stopping),
            None => None,
        }
    }

    /// What the worker does at the moment, said with the next heartbeat.
    pub fn phase(&self, phase: &'static str) {
        *self
            .inner
            .phase
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// The requests, for [`Self::say`].
    pub fn client(&self) -> &LeaseClient {
        &self.inner.client
    }

    /// Whether anything may still be said.
    pub fn is_mute(&self) -> bool {
        self.inner.word.is_cancelled()
    }

    /// Ends the work; the first cause stands.
    pub fn end(&self, ending: Ending) {
        if self.inner.ending.set(ending).is_ok() {
            tracing::info!(?ending, "the work on this step ends early");
        }
        if ending == Ending::Lost {
            self.inner.word.cancel();
        }
        self.inner.work.cancel();
    }

    /// Makes one request until it is answered: an orchestrator that is away is waited for, until
    /// the lease is known to be lost, or [`WORD_GRACE`] has passed since the work's own end, or
    /// [`STOP_GRACE`] since this process had to stop at once.
    pub async fn say<T, F, A>(&self, request: F) -> Result<T, Denied>
    where
        F: Fn() -> A,
        A: Future<Output = Result<Said<T>, CallError>>,
    {
        tokio::select! {
            answer = self.ask(request) => answer,
            () = self.stopped() => {
                tracing::warn!("stopping, and nobody listens");
                self.end(Ending::Lost);
                Err(LeaseOver.into())
            }
        }
    }

    async fn stopped(&self) {
        self.inner.stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    }

    async fn ask<T, F, A>(&self, request: F) -> Result<T, Denied>
    where
        F: Fn() -> A,
        A: Future<Output = Result<Said<T>, CallError>>,
    {
        let give_up = self.inner.work_until + WORD_GRACE;
        let mut backoff = Backoff::default();
        loop {
            let answer = tokio::select! {
                biased;
                () = self.inner.word.cancelled() => return Err(LeaseOver.into()),
                answer = request() => answer,
            };
            match answer {
                Ok(Said::Granted(granted)) => return Ok(granted),
                Ok(Said::Refused(refusal)) => return Err(self.refused(refusal)),
                Err(error) if !error.may_help_to_repeat() => return Err(Denied::Call(error)),
                Err(error) if Instant::now() >= give_up => {
                    tracing::warn!(%error, "nobody listens any more");
                    self.end(Ending::Lost);
                    return Err(LeaseOver.into());
                }
                Err(error) => tracing::debug!(%error, "will be repeated"),
            }
            tokio::select! {
                () = self.inner.word.cancelled() => return Err(LeaseOver.into()),
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Denied {
        if refusal.code == RefusalCode::LeaseLost {
            self.end(Ending::Lost);
            return LeaseOver.into();
        }
        Denied::Refused(refusal)
    }

    /// Extends the lease until `done`; ends the work at its deadline, or when the orchestrator
    /// asks for it, or when the lease is lost. An orchestrator that is away changes nothing.
    pub async fn keep(&self, every: Duration, done: &CancellationToken) {
        let every = every.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                () = self.inner.word.cancelled() => return,
                () = tokio::time::sleep_until(self.inner.work_until), if !self.inner.work.is_cancelled() => {
                    self.end(Ending::Deadline);
                }
                _ = beat.tick() => tokio::select! {
                    () = done.cancelled() => return,
                    () = self.beat() => {}
                }
            }
        }
    }

    async fn beat(&self) {
        let phase = *self
            .inner
            .phase
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.inner.client.heartbeat(phase).await {
            Ok(Said::Granted(answer)) => {
                if answer.cancel && !self.inner.work.is_cancelled() {
                    self.end(Ending::Cancelled);
                }
            }
            Ok(Said::Refused(refusal)) => {
                let denied = self.refused(refusal);
                tracing::warn!(%denied, "the heartbeat was refused");
            }
            Err(error) => tracing::debug!(%error, "no heartbeat this time"),
        }
    }
}
