//! The agent: claim → check → work → report, in as many slots as it is told.

use crate::clock::Clock;
use crate::control_plane::{Backoff, CallError, ControlPlane, Said};
use crate::engine::{Engine, PodName};
use crate::identity::Identity;
use crate::lease::{Denied, Ending, Lease};
use crate::lifecycle::Stopping;
use crate::redact::Secrets;
use crate::sandbox::Spares;
use crate::spool::{Log, LogSender, SpoolError};
use crate::step::{self, Bench, Claims, Left, Stop, chain};
use contract::digest::Digest;
use contract::name::Name;
use contract::protocol::{
    Hello, Isolation, JOB_PAYLOAD_TYPE, Job, LogEnd, Outcome, REPORT_PAYLOAD_TYPE, RefusalCode,
    Report, Times,
};
use evidence::dsse::{self, DsseError};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Everything that a slot needs.
pub struct Agent {
    /// The orchestrator.
    pub plane: ControlPlane,
    /// The engine.
    pub engine: Engine,
    /// Pods that are made ahead.
    pub spares: Spares,
    /// What the self-test saw.
    pub isolation: Isolation,
    /// Where logs and inputs lie while they are used.
    pub spool: PathBuf,
    /// The time, for claims.
    pub clock: Arc<dyn Clock>,
    /// Who this worker is.
    pub keys: Keys,
    /// When to stop.
    pub stopping: Stopping,
}

/// Who this worker is and whom it believes.
pub struct Keys {
    worker: Name,
    instance_id: String,
    envelope: VerifyingKey,
    own: SigningKey,
}

/// A job is not to be worked on, or a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The stored keys.
    #[error("could not use the identity's {0}")]
    Key(&'static str),
    /// Not signed by our orchestrator.
    #[error("could not believe the job")]
    NotSigned(#[source] DsseError),
    /// Signed, but not readable.
    #[error("could not read the job")]
    Job(#[source] serde_json::Error),
    /// Signed for somebody else.
    #[error("the job is for {0}")]
    ForAnother(String),
    /// The report.
    #[error("could not make the report")]
    Report(#[source] DsseError),
    /// The report.
    #[error("could not write the report")]
    Write(#[source] serde_json::Error),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The lease's folder.
    #[error("could not make a folder for the lease")]
    Folder(#[source] std::io::Error),
    /// The orchestrator refuses this worker.
    #[error("the orchestrator refuses this worker: {0}")]
    Refused(String),
}

impl Keys {
    /// Reads them from the identity.
    pub fn of(identity: &Identity, worker: Name) -> Result<Self, AgentError> {
        Ok(Self {
            worker,
            instance_id: identity.instance_id.clone(),
            envelope: VerifyingKey::from_public_key_pem(&identity.envelope_key_pem)
                .map_err(|_| AgentError::Key("envelope key"))?,
            own: SigningKey::from_pkcs8_pem(&identity.key_pem)
                .map_err(|_| AgentError::Key("private key"))?,
        })
    }

    /// The job in the envelope, when our orchestrator signed it for us.
    pub fn open(&self, envelope: &[u8]) -> Result<Job, AgentError> {
        let trusted = std::slice::from_ref(&self.envelope);
        let verified =
            dsse::verify(envelope, JOB_PAYLOAD_TYPE, trusted).map_err(AgentError::NotSigned)?;
        let job: Job = serde_json::from_slice(&verified.payload).map_err(AgentError::Job)?;
        if job.worker != self.worker || job.instance_id != self.instance_id {
            return Err(AgentError::ForAnother(format!(
                "{} of {}",
                job.worker, job.instance_id
            )));
        }
        Ok(job)
    }

    /// The report, signed.
    pub fn seal(&self, report: &Report) -> Result<Vec<u8>, AgentError> {
        let payload = serde_json::to_vec(report).map_err(AgentError::Write)?;
        let envelope = dsse::sign(REPORT_PAYLOAD_TYPE, &payload, &self.own);
        serde_json::to_vec(&envelope.map_err(AgentError::Report)?).map_err(AgentError::Write)
    }
}

impl Agent {
    /// Says hello, then works in `slots` slots until it is asked to stop.
    pub async fn run(self: Arc<Self>, slots: u32) -> Result<(), AgentError> {
        if !self.hello(slots, true).await? {
            return Ok(());
        }
        let slots: Vec<_> = (0..slots)
            .map(|_| {
                let agent = self.clone();
                self.stopping
                    .tasks
                    .spawn(async move { agent.slot(slots).await })
            })
            .collect();
        for slot in slots {
            // A slot ends only when the process stops, or with an error that stops the process.
            let ended = slot
                .await
                .map_err(|error| AgentError::Refused(error.to_string()));
            if let Err(error) = ended.and_then(|ended| ended) {
                self.stopping.soft.cancel();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether it was heard before the process was asked to stop.
    async fn hello(&self, slots: u32, restarted: bool) -> Result<bool, AgentError> {
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isolation: self.isolation.clone(),
            slots,
            restarted,
        };
        let mut backoff = Backoff::default();
        loop {
            match self.plane.hello(&hello).await {
                Ok(Said::Granted(())) => return Ok(true),
                Ok(Said::Refused(refusal)) => return Err(AgentError::Refused(refusal.message)),
                Err(error) if !error.may_help_to_repeat() => {
                    return Err(AgentError::Refused(chain(&error)));
                }
                Err(error) => tracing::info!(error = chain(&error), "hello will be repeated"),
            }
            tokio::select! {
                () = self.stopping.soft.cancelled() => return Ok(false),
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    async fn slot(self: Arc<Self>, slots: u32) -> Result<(), AgentError> {
        let mut backoff = Backoff::default();
        loop {
            self.engine.sweep_again().await;
            let claimed = tokio::select! {
                biased;
                () = self.stopping.soft.cancelled() => return Ok(()),
                claimed = self.plane.claim() => claimed,
            };
            match claimed {
                Ok(Said::Granted(None)) => backoff = Backoff::default(),
                Ok(Said::Granted(Some(envelope))) => {
                    backoff = Backoff::default();
                    match self.keys.open(&envelope) {
                        Ok(job) => self.work(job).await,
                        Err(error) => {
                            tracing::error!(error = chain(&error), "a job was not taken");
                            tokio::time::sleep(backoff.pause()).await;
                        }
                    }
                }
                Ok(Said::Refused(refusal)) if refusal.code == RefusalCode::NotPermitted => {
                    return Err(AgentError::Refused(refusal.message));
                }
                Ok(Said::Refused(refusal)) => {
                    tracing::warn!(refusal.message, "the claim was refused");
                    // An orchestrator that was restored from a backup may not know us any more. Other
                    // slots may be at work: this is no restart.
                    if refusal.code == RefusalCode::NoHello && !self.hello(slots, false).await? {
                        return Ok(());
                    }
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => self.away(&error, &mut backoff).await,
            }
        }
    }

    async fn away(&self, error: &CallError, backoff: &mut Backoff) {
        tracing::info!(error = chain(error), "the claim will be repeated");
        tokio::select! {
            () = self.stopping.soft.cancelled() => {}
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }

    /// One lease, whatever happens in it.
    #[tracing::instrument(name = "step", skip_all, fields(step.id = %job.step_id, step.name = %job.step, fence = job.fence))]
    async fn work(&self, job: Job) {
        tracing::info!(project = %job.project, run = job.run_number, "leased");
        let lease = Lease::new(
            self.plane.lease(&job.step_id, job.fence),
            Duration::from_millis(job.timeout_ms),
            &self.stopping.hard,
        );
        let folder = self.spool.join(format!("{}.{}", job.step_id, job.fence));
        match self.leased(&job, &lease, folder.clone()).await {
            Ok(outcome) => tracing::info!(?outcome, "done"),
            Err(error) => tracing::error!(error = chain(&error), "the lease was given up"),
        }
        let _ = tokio::fs::remove_dir_all(&folder).await;
    }

    async fn leased(
        &self,
        job: &Job,
        lease: &Lease,
        folder: PathBuf,
    ) -> Result<Outcome, AgentError> {
        let claimed_at = self.clock.now_micros();
        let secrets = Secrets::default();
        let log = match self.log(&folder, &secrets).await {
            Ok(log) => log,
            Err(error) => return self.not_begun(job, lease, claimed_at, &error).await,
        };
        let done = CancellationToken::new();
        let keeping = {
            let (lease, done) = (lease.clone(), done.clone());
            let every = Duration::from_millis(job.heartbeat_ms);
            self.stopping
                .tasks
                .spawn(async move { lease.keep(every, &done).await })
        };
        let sending = {
            let (lease, sender) = (lease.clone(), log.sender());
            self.stopping.tasks.spawn(send(lease, sender))
        };
        let mut bench = Bench {
            job,
            lease,
            log: log.clone(),
            secrets,
            engine: &self.engine,
            spares: &self.spares,
            pods: Mutex::default(),
            borrowed: Vec::new(),
            folder,
            clock: self.clock.clone(),
            claims: Claims::default(),
        };
        let stopped = step::work(&mut bench).await;
        let outcome = said(stopped, &bench);
        lease.phase("reporting");
        let (claims, left) = bench.cleared();
        self.end(&left.pods).await;
        let times = Times {
            claimed_at,
            started_at: claims.started_at,
            first_output_at: log.first_output_at(),
            ended_at: self.clock.now_micros(),
        };
        log.close();
        let reporting = async {
            let sent = sending
                .await
                .map_err(|e| AgentError::Refused(e.to_string()))??;
            let outcome = sent.broken.map_or(outcome, no_log);
            self.report(job, lease, claims, outcome, sent.end, times)
                .await
        };
        // Nothing of the step runs any more; to take away what it left has time until the report is there.
        let (reported, ()) = tokio::join!(reporting, self.clear(&left));
        done.cancel();
        let _ = keeping.await;
        reported
    }

    /// Ends what of the step still runs: nothing of a reported step runs on. Where that cannot be seen to,
    /// the whole pod is removed before the report.
    async fn end(&self, pods: &[PodName]) {
        for pod in pods {
            if let Err(error) = self.engine.end_step(pod).await {
                tracing::error!(error = chain(&error), "what the step left was not ended");
                self.remove(std::slice::from_ref(pod)).await;
            }
        }
    }

    async fn remove(&self, pods: &[PodName]) {
        for pod in pods {
            if let Err(error) = self.engine.sweep_pod(pod).await {
                tracing::error!(error = chain(&error), "what the step left was not removed");
            }
        }
    }

    async fn clear(&self, left: &Left) {
        self.remove(&left.pods).await;
        for image in &left.images {
            if let Err(error) = self.engine.give_back(image).await {
                tracing::warn!(error = chain(&error), %image, "a tested image was not removed");
            }
        }
    }

    async fn log(&self, folder: &Path, secrets: &Secrets) -> Result<Log, AgentError> {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(AgentError::Folder)?;
        let path = folder.join("log");
        Ok(Log::create(path, secrets.clone(), self.clock.clone())?)
    }

    /// Reports a step for which this worker has no place: its disk is full, say.
    async fn not_begun(
        &self,
        job: &Job,
        lease: &Lease,
        claimed_at: i64,
        error: &AgentError,
    ) -> Result<Outcome, AgentError> {
        let what = format!("log: {}", chain(error));
        let times = Times {
            claimed_at,
            started_at: None,
            first_output_at: None,
            ended_at: self.clock.now_micros(),
        };
        let nothing = LogEnd {
            chunks: 0,
            bytes: 0,
            sha256: Digest::of(b""),
            dropped_bytes: 0,
        };
        let outcome = Outcome::Infrastructure { what };
        self.report(job, lease, Claims::default(), outcome, nothing, times)
            .await
    }

    async fn report(
        &self,
        job: &Job,
        lease: &Lease,
        claims: Claims,
        outcome: Outcome,
        log: LogEnd,
        times: Times,
    ) -> Result<Outcome, AgentError> {
        let report = Report {
            step_id: job.step_id.clone(),
            fence: job.fence,
            outcome,
            log,
            artifacts: claims.artifacts,
            images: claims.images,
            tools: claims.tools,
            isolation: self.isolation.clone(),
            times,
            network: false,
            complaints: claims.complaints,
        };
        let envelope = self.keys.seal(&report)?;
        let client = lease.client();
        match lease.say(|| async { client.report(&envelope).await }).await {
            Ok(()) => Ok(report.outcome),
            Err(denied) => Err(AgentError::Refused(chain(&denied))),
        }
    }
}

/// How far a log came.
#[derive(Debug)]
pub struct Sent {
    /// What is durable at the orchestrator.
    pub end: LogEnd,
    /// Why it is not all of it.
    pub broken: Option<SpoolError>,
}

/// Sends the log until it is closed and everything is durable at the orchestrator. Without a log a step
/// is worth nothing: when it can no longer be kept, the work ends.
pub async fn send(lease: Lease, mut sender: LogSender) -> Result<Sent, AgentError> {
    loop {
        let chunk = match sender.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                lease.end(Ending::NoLog);
                return Ok(Sent {
                    end: sender.end(),
                    broken: Some(error),
                });
            }
        };
        let client = lease.client();
        let answer = match lease.say(|| async { client.log(&chunk).await }).await {
            Ok(answer) => answer,
            Err(denied) => {
                if !matches!(denied, Denied::Over(_)) {
                    lease.end(Ending::Lost);
                }
                return Err(AgentError::Refused(chain(&denied)));
            }
        };
        if let Err(error) = sender.acknowledge(chunk, &answer) {
            lease.end(Ending::Lost);
            return Err(AgentError::Refused(error.to_string()));
        }
    }
    Ok(Sent {
        end: sender.end(),
        broken: None,
    })
}

fn no_log(error: SpoolError) -> Outcome {
    Outcome::Infrastructure {
        what: format!("log: {}", chain(&error)),
    }
}

/// What the report says about how the work ended.
fn said(stopped: Result<Outcome, Stop>, bench: &Bench<'_>) -> Outcome {
    let mask = |text: String| bench.secrets.mask(&text);
    let outcome = match stopped {
        Ok(outcome) => outcome,
        Err(Stop::Failed(reason)) => Outcome::Failed {
            reason: mask(reason),
            exit_code: None,
        },
        Err(Stop::Refused(reason)) => Outcome::Refused {
            reason: mask(reason),
        },
        Err(Stop::Infrastructure(what)) => Outcome::Infrastructure { what: mask(what) },
        Err(Stop::Ended) => match bench.lease.ending() {
            Some(Ending::Cancelled) => Outcome::Cancelled,
            Some(Ending::Deadline) => Outcome::Deadline,
            Some(Ending::NoLog) => Outcome::Infrastructure {
                what: "the log could not be kept".to_owned(),
            },
            Some(Ending::Lost | Ending::Stopping) | None => Outcome::Infrastructure {
                what: "worker stopping".to_owned(),
            },
        },
    };
    bench.log.what_was_cut();
    bench.log.section("End");
    bench.log.line(&in_words(&outcome));
    outcome
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        // What it is worth is not the worker's to say.
        Outcome::Passed => "the work was done".to_owned(),
        Outcome::Failed { reason, .. } => format!("failed: {reason}"),
        Outcome::Refused { reason } => format!("refused: {reason}"),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::Deadline => "it took longer than it may".to_owned(),
        Outcome::Infrastructure { what } => format!("infrastructure: {what}"),
        Outcome::Unsupported => "unsupported".to_owned(),
    }
}
