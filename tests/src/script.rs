//! What the scripted worker does with a step of any kind: prints, uploads ready-made files, pushes the
//! ready-made image, reports; and repeats whatever got no answer.

use crate::ready_made::{self, Image, NotPushed};
use crate::worker::{Refused, ScriptedWorker, report};
use anyhow::{Context as _, bail};
use contract::digest::Digest;
use contract::image::ImageRef;
use contract::protocol::{
    ArtifactClaim, Heartbeat, ImageClaim, Job, LogEnd, Outcome, REPORT_PAYLOAD_TYPE, RefusalCode,
    RegistryToken, RegistryTokenRequest, ToolEnd, Work,
};
use reqwest::{Method, Response, StatusCode};
use std::time::{Duration, Instant};

/// A request that got no answer is repeated for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to reach a server that has just died.
const PAUSE: Duration = Duration::from_millis(20);

/// Whoever looks after the server while the story waits for it.
pub trait Tend {
    /// Called before each attempt; `Err` ends the story.
    fn tend(&mut self) -> anyhow::Result<()>;
}

/// A server that needs no looking after.
pub struct LeftAlone;

impl Tend for LeftAlone {
    fn tend(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A worker with its script.
pub struct Script {
    /// Who plays it.
    pub worker: ScriptedWorker,
    http: reqwest::Client,
    lost: bool,
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// A step was worked on.
    Worked,
    /// There was none.
    Nothing,
}

/// One step's work, as far as it has come.
struct Doing<'a, T> {
    script: &'a Script,
    server: &'a mut T,
    job: &'a Job,
}

impl Script {
    /// Nothing was done yet.
    pub fn new(worker: ScriptedWorker) -> anyhow::Result<Self> {
        Ok(Self {
            worker,
            http: reqwest::Client::builder().timeout(PATIENCE).build()?,
            lost: false,
        })
    }

    /// Claims for at most `wait_ms`, and does what it gets. When a claim's answer was lost it gives
    /// back what it may hold.
    pub async fn turn(&mut self, server: &mut impl Tend, wait_ms: u64) -> anyhow::Result<Turn> {
        server.tend()?;
        match self.worker.claim(wait_ms).await {
            Ok(Some(job)) => {
                self.works(server, &job).await?;
                return Ok(Turn::Worked);
            }
            Ok(None) if self.lost => self.lost = self.worker.hello(2).await.is_err(),
            Ok(None) => {}
            Err((StatusCode::BAD_GATEWAY, None)) => {
                self.lost = true;
                tokio::time::sleep(PAUSE).await;
            }
            Err(refused) => bail!("{refused:?}"),
        }
        Ok(Turn::Nothing)
    }

    /// Says hello as after a start, until there is an answer.
    pub async fn begins(&mut self, server: &mut impl Tend) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        self.lost = false;
        loop {
            server.tend()?;
            match self.worker.hello(2).await {
                Ok(()) => return Ok(()),
                Err((StatusCode::BAD_GATEWAY, None)) if Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(refused) => bail!("{refused:?}"),
            }
        }
    }

    /// One step, to its report; a lease that is lost in the middle is let go.
    pub async fn works(&self, server: &mut impl Tend, job: &Job) -> anyhow::Result<()> {
        let mut doing = Doing {
            script: self,
            server,
            job,
        };
        doing.whole().await.map(|_| ())
    }
}

impl<T: Tend> Doing<'_, T> {
    /// `None` when the lease was lost.
    async fn whole(&mut self) -> anyhow::Result<Option<()>> {
        let mut report = report(self.job, &Default::default(), Outcome::Passed);
        // The longest log has two pieces, so that one is appended to; the others have one.
        let pieces: &[&str] = match &self.job.work {
            Work::Run { .. } => &["one\n", "two\n"],
            _ => &["all is well\n"],
        };
        let Some(log) = self.prints(pieces).await? else {
            return Ok(None);
        };
        report.log = log;
        let beat = serde_json::to_vec(&Heartbeat {
            phase: "running".to_owned(),
        })?;
        if self
            .insist(Method::POST, "heartbeat", &beat)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let files: Vec<String> = match &self.job.work {
            Work::Analyze { tools } => tools.iter().map(|t| sarif(&t.name)).collect(),
            Work::Scan {
                sbom: _, secrets, ..
            } => {
                vec!["sbom/cyclonedx.json".to_owned(), sarif(&secrets.name)]
            }
            Work::Run { .. } | Work::Test { .. } => {
                let junit = |path| format!("junit/{path}");
                self.job.junit.iter().map(junit).collect()
            }
            Work::Build { .. } | Work::Unsupported => Vec::new(),
        };
        for (sequence, name) in files.iter().enumerate() {
            let Some(claim) = self.uploads(sequence, name).await? else {
                return Ok(None);
            };
            report.artifacts.push(claim);
        }
        let ended = |name: &String| ToolEnd {
            name: name.clone(),
            exit_code: Some(0),
            problem: None,
        };
        match &self.job.work {
            Work::Analyze { tools } => {
                report.tools = tools.iter().map(|t| ended(&t.name)).collect()
            }
            Work::Scan { sbom, secrets, .. } => {
                report.tools = vec![ended(&sbom.name), ended(&secrets.name)];
            }
            Work::Build { .. } => match self.pushes().await? {
                None => return Ok(None),
                Some(Ok(claim)) => report.images = vec![claim],
                Some(Err(problem)) => {
                    let what = problem.to_string();
                    report.outcome = Outcome::Infrastructure { what };
                }
            },
            Work::Run { .. } | Work::Test { .. } | Work::Unsupported => {}
        }
        let payload = serde_json::to_vec(&report)?;
        let key = &self.script.worker.key;
        let envelope = evidence::dsse::sign(REPORT_PAYLOAD_TYPE, &payload, key)?;
        let envelope = serde_json::to_vec(&envelope)?;
        let said = self.insist(Method::POST, "report", &envelope).await?;
        Ok(said.map(|_| ()))
    }

    async fn prints(&mut self, pieces: &[&str]) -> anyhow::Result<Option<LogEnd>> {
        let mut all = Vec::new();
        for (sequence, piece) in pieces.iter().enumerate() {
            let offset = all.len();
            all.extend_from_slice(piece.as_bytes());
            let sha256 = Digest::of(&all).hex();
            let path = format!("log/{sequence}?offset={offset}&sha256={sha256}");
            let said = self.insist(Method::PUT, &path, piece.as_bytes()).await?;
            if said.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(LogEnd {
            chunks: i64::try_from(pieces.len())?,
            bytes: i64::try_from(all.len())?,
            sha256: Digest::of(&all),
            dropped_bytes: 0,
        }))
    }

    async fn uploads(
        &mut self,
        sequence: usize,
        name: &str,
    ) -> anyhow::Result<Option<ArtifactClaim>> {
        let bytes = ready_made::report(name).with_context(|| format!("no ready-made {name}"))?;
        let digest = Digest::of(bytes);
        let path = format!("artifacts/{sequence}?name={name}&sha256={}", digest.hex());
        let said = self.insist(Method::PUT, &path, bytes).await?;
        Ok(said.map(|_| ArtifactClaim {
            name: name.to_owned(),
            digest,
            bytes: bytes.len() as u64,
        }))
    }

    /// The ready-made image, with a token for its quarantine repository and nothing else.
    async fn pushes(&mut self) -> anyhow::Result<Option<Result<ImageClaim, NotPushed>>> {
        let Work::Build { repository, .. } = &self.job.work else {
            bail!("not a build");
        };
        let wish = serde_json::to_vec(&RegistryTokenRequest {
            repository: repository.clone(),
            push: true,
        })?;
        let Some(said) = self.insist(Method::POST, "registry-token", &wish).await? else {
            return Ok(None);
        };
        let token: RegistryToken = said.json().await?;
        let image = Image::ready_made();
        let pushed = image.push(&self.script.http, repository, &token.token);
        let claim = ImageClaim {
            name: self.job.step.clone(),
            image: ImageRef {
                repository: repository.clone(),
                digest: image.digest(),
            },
        };
        Ok(Some(pushed.await.map(|()| claim)))
    }

    /// Repeats a request until there is an answer; none when the lease is lost.
    async fn insist(
        &mut self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<Option<Response>> {
        let until = Instant::now() + PATIENCE;
        let path = format!("leases/{}/{}/{path}", self.job.step_id, self.job.fence);
        let worker = &self.script.worker;
        loop {
            self.server.tend()?;
            let said: Result<Response, Refused> =
                worker.send(method.clone(), &path, body.to_vec()).await;
            match said {
                Ok(response) => return Ok(Some(response)),
                Err((_, Some(RefusalCode::LeaseLost))) => return Ok(None),
                Err((StatusCode::BAD_GATEWAY, None)) if Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(refused) => bail!("{path}: {refused:?}"),
            }
        }
    }
}

fn sarif(tool: &str) -> String {
    format!("sarif/{tool}.sarif")
}
