//! What every kind of step works with: the job, its lease, its log, its pod, its claims.

use super::archive::ArchiveError;
use crate::clock::Clock;
use crate::control_plane::CallError;
use crate::engine::{Engine, EngineError, PodName};
use crate::lease::{Denied, Lease};
use crate::redact::Secrets;
use crate::sandbox::{Container, Ended, Pod, PodSpec, Running, SandboxError, Sink, Spares};
use crate::spool::Log;
use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::name::Name;
use contract::protocol::{
    ARTIFACT_BYTES_MAX, ARTIFACTS_MAX, ArtifactClaim, ImageClaim, Job, Outcome,
    RegistryTokenRequest, ToolEnd,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A registry that is down is asked this often before the step ends; the orchestrator's retry
/// policy goes on from there.
pub(super) const REGISTRY_TRIES: u32 = 3;
/// Between two tries.
pub(super) const REGISTRY_PAUSE: Duration = Duration::from_secs(2);

/// What one step works with.
pub struct Bench<'a> {
    /// What to do.
    pub job: &'a Job,
    /// The right to do it.
    pub lease: &'a Lease,
    /// Where its words go.
    pub log: Log,
    /// What is masked in them.
    pub secrets: Secrets,
    /// Where containers run.
    pub engine: &'a Engine,
    /// Pods that were made ahead.
    pub spares: &'a Spares,
    /// The pods that this lease was given, to be removed with it.
    pub pods: Mutex<Vec<PodName>>,
    /// Images that are here for this lease, to be given back when nothing of it is left.
    pub borrowed: Vec<ImageRef>,
    /// A folder of this lease alone, removed afterwards.
    pub folder: PathBuf,
    /// The time, for claims.
    pub clock: Arc<dyn Clock>,
    /// What came of it.
    pub claims: Claims,
}

/// What a step made, for its report.
#[derive(Debug, Default)]
pub struct Claims {
    /// What was uploaded.
    pub artifacts: Vec<ArtifactClaim>,
    /// What was pushed.
    pub images: Vec<ImageClaim>,
    /// How each tool ended.
    pub tools: Vec<ToolEnd>,
    /// Complaints about what the commit holds.
    pub complaints: Vec<String>,
    /// When the step's first container started.
    pub started_at: Option<i64>,
}

/// What is removed after a step.
#[derive(Debug)]
pub struct Left {
    /// Its pods.
    pub pods: Vec<PodName>,
    /// The images that it borrowed.
    pub images: Vec<ImageRef>,
}

/// Why a step's work does not go on.
#[derive(Debug)]
pub enum Stop {
    /// The lease says why.
    Ended,
    /// Not the step's fault.
    Infrastructure(String),
    /// The step's own fault.
    Failed(String),
    /// Not to be executed.
    Refused(String),
}

impl From<Denied> for Stop {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Over(_) => Self::Ended,
            Denied::Refused(refusal) => {
                Self::Infrastructure(format!("the orchestrator refused: {}", refusal.message))
            }
            Denied::Call(error) => Self::Infrastructure(chain(&error)),
        }
    }
}

impl From<SandboxError> for Stop {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Engine(_) => Self::Infrastructure(chain(&error)),
            SandboxError::NotAllowed(_) => Self::Refused(chain(&error)),
            SandboxError::NotStarted(_)
            | SandboxError::TooMuch(_)
            | SandboxError::Full(_)
            | SandboxError::Gone(_) => Self::Failed(chain(&error)),
        }
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Infrastructure(chain(&error))
    }
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        if error.is_ours() {
            Self::Infrastructure(chain(&error))
        } else {
            Self::Failed(chain(&error))
        }
    }
}

/// An error with its sources, for people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        at = source.source();
    }
    text
}

impl Bench<'_> {
    /// What is left of it: for the report, and to be removed.
    pub fn cleared(self) -> (Claims, Left) {
        let pods = self.pods.into_inner();
        let left = Left {
            pods: pods.unwrap_or_else(PoisonError::into_inner),
            images: self.borrowed,
        };
        (self.claims, left)
    }

    /// A name that no other lease has.
    pub fn tag(&self) -> String {
        format!("{}-{}", self.job.step_id, self.job.fence)
    }

    /// Says that this image is pulled for this lease only.
    pub async fn borrow(&mut self, image: &ImageRef) {
        self.engine.borrow(image).await;
        self.borrowed.push(image.clone());
    }

    /// Fetches the source archive, its digest checked.
    pub async fn source(&self) -> Result<PathBuf, Stop> {
        self.lease.phase("fetching source");
        let path = self.folder.join("source.tar");
        let (client, source) = (self.lease.client(), &self.job.source);
        let fetched = self
            .lease
            .say(|| async { client.source(source, &path).await })
            .await;
        match fetched {
            Ok(()) => Ok(path),
            Err(Denied::Call(error @ CallError::TooLong { .. })) => {
                Err(Stop::Infrastructure(chain(&error)))
            }
            Err(denied) => Err(denied.into()),
        }
    }

    /// Asks for a right in the registry, right before its use; what comes is masked from now on.
    pub async fn right(&self, repository: &Repository, push: bool) -> Result<String, Stop> {
        let wish = RegistryTokenRequest {
            repository: repository.clone(),
            push,
        };
        let client = self.lease.client();
        let token = self
            .lease
            .say(|| async { client.registry_token(&wish).await })
            .await?;
        self.secrets.add(&token.token);
        Ok(token.token)
    }

    /// Brings an image into the engine, by its digest.
    pub async fn pull(&self, image: &ImageRef) -> Result<(), Stop> {
        self.bring(image).await?;
        if self.borrowed.contains(image) {
            self.engine.mark(image, &self.tag()).await?;
        }
        Ok(())
    }

    async fn bring(&self, image: &ImageRef) -> Result<(), Stop> {
        self.lease.phase("fetching image");
        for left in (0..REGISTRY_TRIES).rev() {
            // The right is asked for even when the image is there: the engine's store is no boundary.
            let token = self.right(&image.repository, false).await?;
            if self.engine.has(image).await {
                return Ok(());
            }
            let pulled = tokio::select! {
                () = self.lease.work().cancelled() => return Err(Stop::Ended),
                pulled = self.engine.pull(image, &token) => pulled,
            };
            match pulled {
                Ok(()) => return Ok(()),
                Err(error) if left == 0 => return Err(self.registry(&error)),
                Err(error) => self.log.line(&format!("{}; trying again", chain(&error))),
            }
            self.pause(REGISTRY_PAUSE).await?;
        }
        Err(Stop::Infrastructure(format!("registry: {image}")))
    }

    /// The registry's fault, in the words that the page shows.
    pub fn registry(&self, error: &EngineError) -> Stop {
        Stop::Infrastructure(format!("registry: {}", chain(error)))
    }

    /// Waits, unless the work is over.
    pub async fn pause(&self, time: Duration) -> Result<(), Stop> {
        tokio::select! {
            () = self.lease.work().cancelled() => Err(Stop::Ended),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// A fresh pod for the source, whose containers meet by these names. It ends with the lease at the
    /// latest.
    async fn pod(&self, hosts: &[Name]) -> Result<Pod, Stop> {
        let spec = PodSpec {
            folder: "/work/src",
            hosts: hosts.to_vec(),
            resources: self.job.resources.clone(),
        };
        if hosts.is_empty()
            && let Some(pod) = self.spares.take(&spec)
        {
            self.remember(pod.name());
            if pod.is_well().await {
                return Ok(pod);
            }
        }
        self.make_pod(&spec).await
    }

    /// A fresh pod with this folder, whose work area holds at least so many bytes.
    pub async fn pod_holding(&self, folder: &'static str, bytes: u64) -> Result<Pod, Stop> {
        let mut resources = self.job.resources.clone();
        resources.work_bytes = resources.work_bytes.max(bytes);
        let spec = PodSpec {
            folder,
            hosts: Vec::new(),
            resources,
        };
        self.make_pod(&spec).await
    }

    async fn make_pod(&self, spec: &PodSpec) -> Result<Pod, Stop> {
        self.lease.phase("preparing");
        let name = self.engine.name_pod();
        self.remember(&name);
        Ok(Pod::create(self.engine, name, spec).await?)
    }

    fn remember(&self, pod: &PodName) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.push(pod.clone());
    }

    /// A fresh pod with the source at `/work/src`; these images are there, too.
    pub async fn pod_with_source(&self, hosts: &[Name], images: &[&ImageRef]) -> Result<Pod, Stop> {
        let (pod, archive) = self.pod_and_source(hosts, images).await?;
        pod.put_file(&archive).await?;
        Ok(pod)
    }

    /// A fresh pod for the source, and the source's archive, while these images are brought in.
    pub async fn pod_and_source(
        &self,
        hosts: &[Name],
        images: &[&ImageRef],
    ) -> Result<(Pod, PathBuf), Stop> {
        let images = futures::future::join_all(images.iter().map(|image| self.pull(image)));
        // Each to its end, also when another fails: the engine is not swept while it still makes something.
        // The images come last, for theirs is the phase that a person waits for.
        let (archive, pod, images) = futures::join!(self.source(), self.pod(hosts), images);
        images.into_iter().collect::<Result<(), Stop>>()?;
        Ok((pod?, archive?))
    }

    /// Runs a container to its end; the end of the work ends it.
    pub async fn run(
        &mut self,
        pod: &Pod,
        container: Container,
        sink: Sink,
    ) -> Result<Ended, Stop> {
        let mut running = self.start(pod, container, sink).await?;
        tokio::select! {
            ended = running.wait() => return Ok(ended?),
            () = self.lease.work().cancelled() => {}
        }
        running.end().await?;
        Err(Stop::Ended)
    }

    /// Starts a container. With the first one the next step's pod is made.
    pub async fn start(
        &mut self,
        pod: &Pod,
        container: Container,
        sink: Sink,
    ) -> Result<Running, Stop> {
        let now = self.clock.now_micros();
        let running = pod.start(container, sink).await?;
        if self.claims.started_at.is_none() {
            self.claims.started_at = Some(now);
            self.spares.refill();
        }
        Ok(running)
    }

    /// The step's environment, with what every step is told.
    pub fn environment(&self) -> std::collections::BTreeMap<String, String> {
        let mut env = self.job.env.clone();
        env.entry("SOURCE_DATE_EPOCH".to_owned())
            .or_insert_with(|| self.job.source.commit_time.to_string());
        env.entry("HOME".to_owned())
            .or_insert_with(|| "/tmp".to_owned());
        env
    }

    /// Writes one stream of a container into the log.
    pub fn into_log(&self) -> Sink {
        let mut stream = self.log.stream();
        Box::new(move |_, bytes| stream.write(bytes))
    }

    /// Uploads an artifact and claims it.
    pub async fn upload(&mut self, name: String, bytes: Vec<u8>) -> Result<(), Stop> {
        if bytes.len() as u64 > ARTIFACT_BYTES_MAX {
            return Err(Stop::Failed(format!(
                "artifact {name} is larger than {ARTIFACT_BYTES_MAX} bytes"
            )));
        }
        if self.claims.artifacts.len() >= ARTIFACTS_MAX {
            return Err(Stop::Failed(format!("more than {ARTIFACTS_MAX} artifacts")));
        }
        let claim = ArtifactClaim {
            name,
            digest: Digest::of(&bytes),
            bytes: bytes.len() as u64,
        };
        let (sequence, bytes) = (self.claims.artifacts.len(), bytes::Bytes::from(bytes));
        let client = self.lease.client();
        self.lease
            .say(|| async { client.artifact(sequence, &claim, bytes.clone()).await })
            .await?;
        self.claims.artifacts.push(claim);
        Ok(())
    }
}

/// What a container's end means for the step.
pub(super) fn outcome(ended: &Ended) -> Outcome {
    if ended.exit_code == Some(0) {
        return Outcome::Passed;
    }
    Outcome::Failed {
        reason: why(ended),
        exit_code: ended.exit_code,
    }
}

/// A container's end in words.
pub(super) fn why(ended: &Ended) -> String {
    match (ended.out_of_memory, ended.exit_code) {
        (true, _) => "out of memory".to_owned(),
        (false, Some(code)) if code > 128 && code < 160 => {
            format!("exit code {code} (signal {})", code - 128)
        }
        (false, Some(code)) => format!("exit code {code}"),
        (false, None) => "ended without an exit code".to_owned(),
    }
}
