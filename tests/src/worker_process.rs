//! The real worker as a process, which a story may kill, and what it leaves in its engine.

use crate::place::Place;
use anyhow::{Context as _, ensure};
use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Its file, its log and its data lie in one folder; killed with the value.
pub struct WorkerProcess {
    folder: PathBuf,
    binary: PathBuf,
    engine: PathBuf,
    docker: Docker,
    name: String,
    child: Option<Child>,
    /// Lines for the `[engine]` of its file.
    pub engine_keys: String,
    /// Its data lies on a disk of so many bytes, which is its own alone.
    pub disk_bytes: Option<u64>,
}

impl WorkerProcess {
    /// One that is not enrolled and does not run.
    pub async fn new(place: &Place, folder: &Path, name: &str) -> anyhow::Result<Self> {
        let docker = Docker::connect_with_unix(
            &place.engine.display().to_string(),
            60,
            bollard::API_DEFAULT_VERSION,
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            binary: place.binaries.join("sallyport-worker"),
            engine: place.engine.clone(),
            docker: docker.negotiate_version().await?,
            name: name.to_owned(),
            child: None,
            engine_keys: String::new(),
            disk_bytes: None,
        })
    }

    /// Writes its file: it works in so many slots for the orchestrator at this entrance.
    pub fn configure(&self, entrance: &str, slots: u32) -> anyhow::Result<()> {
        let text = format!(
            "[worker]\nname = \"{}\"\ndata-dir = \"{}/worker\"\nslots = {slots}\n\
             [orchestrator]\nurl = \"{entrance}\"\n[engine]\nsocket = \"{}\"\n{}",
            self.name,
            self.folder.display(),
            self.engine.display(),
            self.engine_keys,
        );
        Ok(std::fs::write(self.folder.join("worker.toml"), text)?)
    }

    /// Trades this token for an identity.
    pub async fn enrol(&self, token: &str) -> anyhow::Result<()> {
        let file = self.folder.join("token");
        std::fs::write(&file, token)?;
        let mut command = self.command("enrol");
        command.arg("--token-file").arg(file);
        let status = tokio::task::spawn_blocking(move || command.status()).await??;
        ensure!(status.success(), "the worker is not enrolled");
        Ok(())
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("worker.log"))?;
        let mut command = match self.disk_bytes {
            None => self.command("run"),
            Some(bytes) => self.on_a_disk(bytes, &self.command("run")),
        };
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn().context("start the worker")?);
        Ok(())
    }

    /// Ends it as SIGKILL does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("a worker")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("a worker")?;
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        ensure!(status.success(), "{status}: {}", self.words());
        Ok(())
    }

    /// What its program says when it is started once more with this verb.
    pub async fn says(&self, verb: &str) -> anyhow::Result<String> {
        let mut command = self.command(verb);
        let said = tokio::task::spawn_blocking(move || command.output()).await??;
        Ok(String::from_utf8([said.stdout, said.stderr].concat())?)
    }

    /// Waits until it has ended by itself; its exit code.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut child = self.child.take().context("a worker")?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        Ok(status.code())
    }

    /// How many containers this worker's steps have: all, and those that run. Their pods' first ones do not
    /// count, nor those of pods that were made ahead.
    pub async fn step_containers(&self) -> anyhow::Result<(usize, usize)> {
        let mut of_steps = self.own();
        of_steps
            .entry("label".to_owned())
            .or_default()
            .push("dev.sallyport.step".to_owned());
        let found = self.containers(&of_steps).await?;
        let running = found
            .iter()
            .filter(|container| container.state == Some(ContainerSummaryStateEnum::RUNNING));
        Ok((found.len(), running.count()))
    }

    async fn containers(
        &self,
        filters: &HashMap<String, Vec<String>>,
    ) -> anyhow::Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(filters)
            .build();
        Ok(self.docker.list_containers(Some(options)).await?)
    }

    /// Fails when anything of this worker is left in the engine.
    pub async fn nothing_is_left(&self) -> anyhow::Result<()> {
        let containers = self.containers(&self.own()).await?.len();
        let options = ListVolumesOptionsBuilder::default()
            .filters(&self.own())
            .build();
        let volumes = self.docker.list_volumes(Some(options)).await?;
        let volumes = volumes.volumes.unwrap_or_default().len();
        ensure!(
            (containers, volumes) == (0, 0),
            "{containers} containers and {volumes} volumes are left"
        );
        Ok(())
    }

    /// The last that it said.
    pub fn words(&self) -> String {
        last_words(&self.folder.join("worker.log"))
    }

    /// The same command with a file system of its own over the data folder, what lies in it copied. It goes
    /// with the process.
    fn on_a_disk(&self, bytes: u64, command: &Command) -> Command {
        let script = format!(
            "cp -a \"$0\" \"$0.kept\" && mount -t tmpfs -o size={bytes},mode=700 tmpfs \"$0\" \
             && cp -a \"$0.kept/.\" \"$0\" && exec \"$@\""
        );
        let mut small = Command::new("unshare");
        small
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .arg(self.folder.join("worker"))
            .arg(command.get_program())
            .args(command.get_args());
        small
    }

    fn own(&self) -> HashMap<String, Vec<String>> {
        let label = format!("dev.sallyport.worker={}", self.name);
        HashMap::from([("label".to_owned(), vec![label])])
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(verb)
            .arg("--config")
            .arg(self.folder.join("worker.toml"));
        command
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // A story that failed in the middle leaves no process behind.
        if self.child.is_some() {
            drop(self.kill());
        }
    }
}

/// The end of what a process wrote into its log.
pub fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
