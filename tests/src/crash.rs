//! A server process that ends itself at a kill point and is started again, and the signer beside it.

use crate::script::Tend;
use crate::worker_process::last_words;
use anyhow::{Context as _, bail, ensure};
use std::collections::{BTreeMap, VecDeque};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that has started answers within a second or two.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// A server stops softly within 20 s and hard after that.
const STOP: Duration = Duration::from_secs(40);

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

impl std::str::FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, time, side] = words[..] else {
            bail!("not a kill point: {text}");
        };
        Ok(Self {
            name: name.to_owned(),
            time: time.parse()?,
            side: side.to_owned(),
        })
    }
}

/// The points that an undisturbed run passed, as the server listed them.
pub fn points(list: &Path) -> anyhow::Result<Vec<Point>> {
    std::fs::read_to_string(list)?
        .lines()
        .map(str::parse)
        .collect()
}

/// Each operation with how often it was passed, for people.
pub fn summary<'p>(points: impl IntoIterator<Item = &'p Point>) -> String {
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

/// A `sallyport serve` of a kill-point build over one folder.
pub struct Server {
    binary: PathBuf,
    folder: PathBuf,
    child: Child,
    /// Where it has yet to end itself: this process at the first, the next one at the second.
    left: VecDeque<Point>,
}

impl Server {
    /// Starts it; `kills` is where it ends itself, each started process at the next of them, counted from
    /// that process's start; `list` where the first lists the points that it passes.
    pub fn start(
        binary: &Path,
        folder: &Path,
        kills: &[Point],
        list: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let left: VecDeque<Point> = kills.iter().cloned().collect();
        let mut command = serve(binary, folder, left.front())?;
        if let Some(list) = list {
            command.env("SALLYPORT_KILL_LIST", list);
        }
        let child = command.spawn().context("start the server")?;
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            child,
            left,
        })
    }

    /// The first point that it has not ended itself at yet.
    pub fn next_kill(&self) -> Option<&Point> {
        self.left.front()
    }

    /// Waits until it answers. `/readyz` would do as well, but asks its writer: a kill point that hangs
    /// on how often it is asked.
    pub async fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        let http = reqwest::Client::builder().timeout(START).build()?;
        loop {
            self.tend()?;
            let asked = http.get(format!("{url}/healthz")).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the server does not answer");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops it as SIGTERM does, and waits until it has ended well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let until = Instant::now() + STOP;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended: {status}");
                return Ok(());
            }
            ensure!(Instant::now() < until, "the server does not stop");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The end of what it said, for whoever has to find out why.
    pub fn said(&self) -> String {
        last_words(&self.folder.join("server.log"))
    }
}

impl Tend for Server {
    /// Starts it again when it has ended itself; any other end fails the story.
    fn tend(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        if status.signal() != Some(9) || self.left.pop_front().is_none() {
            bail!("the server ended: {status}");
        }
        self.child = serve(&self.binary, &self.folder, self.left.front())?.spawn()?;
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

fn serve(binary: &Path, folder: &Path, kill_at: Option<&Point>) -> anyhow::Result<Command> {
    let mut command = logged(binary, &folder.join("server.log"))?;
    let config = folder.join("sallyport.toml");
    command.arg("--config").arg(config).arg("serve");
    if let Some(point) = kill_at {
        command.env("SALLYPORT_KILL_AT", point.to_string());
    }
    Ok(command)
}

fn logged(binary: &Path, log: &Path) -> anyhow::Result<Command> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let mut command = Command::new(binary);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// A `sallyport signer run`; killed with the value.
pub struct SignerProcess(Child);

impl SignerProcess {
    /// Starts it and waits for its socket, which lies beside its configuration.
    pub fn start(binary: &Path, config: &Path) -> anyhow::Result<Self> {
        let mut command = logged(binary, &config.with_extension("log"))?;
        command.arg("--config").arg(config).args(["signer", "run"]);
        let mut this = Self(command.spawn().context("start the signer")?);
        let socket = config.with_file_name("socket");
        let until = Instant::now() + START;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if let Some(status) = this.0.try_wait()? {
                bail!("the signer ended: {status}");
            }
            ensure!(Instant::now() < until, "the signer does not listen");
            std::thread::sleep(LOOK);
        }
        Ok(this)
    }
}

impl Drop for SignerProcess {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
