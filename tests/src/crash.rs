//! A server process that ends itself at a kill point and is started again, and a worker that gets
//! its steps done all the same.

use crate::orchestrator::Push;
use crate::worker::{Refused, ScriptedWorker};
use anyhow::{Context as _, bail};
use contract::digest::Digest;
use contract::protocol::{ArtifactClaim, Job, LogEnd, Outcome, REPORT_PAYLOAD_TYPE, RefusalCode};
use reqwest::{Method, Response, StatusCode};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A story with one crash in it takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to reach a server that has just died.
const PAUSE: Duration = Duration::from_millis(50);

/// A kill point: an operation's name, its k-th time, before or after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// `run.make`, `log.append`.
    pub name: String,
    /// From 1.
    pub time: u64,
    /// `before` or `after`.
    pub side: String,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.name, self.time, self.side)
    }
}

/// The points that an undisturbed run passed, as the server listed them.
pub fn points(list: &Path) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for line in std::fs::read_to_string(list)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, time, side] = words[..] else {
            bail!("not a kill point: {line}");
        };
        points.push(Point {
            name: name.to_owned(),
            time: time.parse()?,
            side: side.to_owned(),
        });
    }
    Ok(points)
}

/// A `sallyport serve` of a kill-point build over one folder.
pub struct Server {
    binary: PathBuf,
    folder: PathBuf,
    child: Child,
    /// Whether it ended itself at its point.
    pub killed: bool,
}

impl Server {
    /// Starts it; `kill_at` is where it ends itself, `list` where it lists the points that it passes.
    pub fn start(
        binary: &Path,
        folder: &Path,
        kill_at: Option<&Point>,
        list: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut command = command(binary, folder)?;
        if let Some(point) = kill_at {
            command.env("SALLYPORT_KILL_AT", point.to_string());
        }
        if let Some(list) = list {
            command.env("SALLYPORT_KILL_LIST", list);
        }
        let child = command.spawn().context("start the server")?;
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            child,
            killed: false,
        })
    }

    /// Starts it again when it has ended itself; any other end fails the story.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        if status.signal() != Some(9) || self.killed {
            bail!("the server ended: {status}");
        }
        self.killed = true;
        self.child = command(&self.binary, &self.folder)?.spawn()?;
        Ok(())
    }

    /// Stops it as SIGTERM does.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A story that failed in the middle leaves no process behind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(binary: &Path, folder: &Path) -> anyhow::Result<Command> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("server.log"))?;
    let mut command = Command::new(binary);
    command
        .arg("--config")
        .arg(folder.join("sallyport.toml"))
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// Tells the push and works until `done` says so: claims, prints, uploads, reports; repeats what got no answer, and
/// gives back what it may hold when a claim's answer was lost.
pub async fn work(
    worker: &ScriptedWorker,
    push: &Push,
    server: &mut Server,
    done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    // As our own hook does: until there is an answer.
    while !push.send().await.unwrap_or(false) {
        anyhow::ensure!(Instant::now() < until, "the delivery was not taken in time");
        server.tend()?;
        tokio::time::sleep(PAUSE).await;
    }
    let mut lost = false;
    while !done().await? {
        if Instant::now() > until {
            bail!("the run has not ended in time");
        }
        server.tend()?;
        match worker.claim(300).await {
            Ok(Some(job)) => whole_step(worker, server, &job).await?,
            Ok(None) if lost => lost = worker.hello(2).await.is_err(),
            Ok(None) => {}
            Err((StatusCode::BAD_GATEWAY, None)) => {
                lost = true;
                tokio::time::sleep(PAUSE).await;
            }
            Err(refused) => bail!("{refused:?}"),
        }
    }
    Ok(())
}

/// One step, to its report; a lease that is lost in the middle is let go.
async fn whole_step(worker: &ScriptedWorker, server: &mut Server, job: &Job) -> anyhow::Result<()> {
    let chunks = ["one\n", "two\n"];
    let mut all = Vec::new();
    for (sequence, chunk) in chunks.iter().enumerate() {
        let offset = all.len();
        all.extend_from_slice(chunk.as_bytes());
        let sha256 = Digest::of(&all).hex();
        let path = format!("log/{sequence}?offset={offset}&sha256={sha256}");
        if insist(worker, server, Method::PUT, job, &path, chunk.as_bytes())
            .await?
            .is_none()
        {
            return Ok(());
        }
    }
    let mut artifacts = Vec::new();
    for pattern in &job.junit {
        let bytes: &[u8] = b"<testsuite name=\"unit\"><testcase name=\"sells\"/></testsuite>";
        let (name, digest) = (format!("junit/{pattern}"), Digest::of(bytes));
        let path = format!("artifacts/0?name={name}&sha256={}", digest.hex());
        if insist(worker, server, Method::PUT, job, &path, bytes)
            .await?
            .is_none()
        {
            return Ok(());
        }
        artifacts.push(ArtifactClaim {
            name,
            digest,
            bytes: bytes.len() as u64,
        });
    }
    let mut report = crate::worker::report(job, &Default::default(), Outcome::Passed);
    report.log = LogEnd {
        chunks: 2,
        bytes: i64::try_from(all.len())?,
        sha256: Digest::of(&all),
        dropped_bytes: 0,
    };
    report.artifacts = artifacts;
    let payload = serde_json::to_vec(&report)?;
    let envelope = evidence::dsse::sign(REPORT_PAYLOAD_TYPE, &payload, &worker.key)?;
    let envelope = serde_json::to_vec(&envelope)?;
    insist(worker, server, Method::POST, job, "report", &envelope).await?;
    Ok(())
}

/// Repeats a request until there is an answer; none when the lease is lost.
async fn insist(
    worker: &ScriptedWorker,
    server: &mut Server,
    method: Method,
    job: &Job,
    path: &str,
    body: &[u8],
) -> anyhow::Result<Option<Response>> {
    let until = Instant::now() + PATIENCE;
    let path = format!("leases/{}/{}/{path}", job.step_id, job.fence);
    loop {
        server.tend()?;
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

/// Each operation with how often it was passed, for people.
pub fn summary(points: &[Point]) -> String {
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    for point in points {
        *names.entry(&point.name).or_default() += 1;
    }
    names
        .iter()
        .map(|(name, count)| format!("{name} ({count})"))
        .collect::<Vec<_>>()
        .join(", ")
}
