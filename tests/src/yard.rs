//! A whole yard of processes: `sallyport serve`, `sallyport-worker run` and the worker's own engine, each
//! of which a story may kill.

use crate::images::Registry;
use crate::orchestrator::Orchestrator;
use crate::place::Place;
use crate::story::Push;
use crate::worker_process::{WorkerProcess, last_words};
use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No story waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);
/// Steps at once.
const SLOTS: u32 = 4;

/// A pipeline of these steps, which a push to `main` starts.
pub fn pipeline(steps: &str) -> String {
    format!("version: 1\non: {{ push: {{ branches: [main] }} }}\nsteps:\n{steps}")
}

/// A `run` step in one line.
pub fn run(name: &str, image: &str, command: &[&str], more: &str) -> String {
    format!("  {name}: {{ run: {{ image: \"{image}\", command: {command:?} }}{more} }}\n")
}

/// One step as the database has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StepRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `finished`, …
    pub state: String,
    /// `passed`, `failed`, …
    pub cause: Option<String>,
    /// In words.
    pub cause_detail: Option<String>,
    /// Of its last lease.
    pub fence: i64,
}

/// What a story wants of its yard.
#[derive(Default)]
pub struct Wanted<'a> {
    /// The worker's name.
    pub worker: &'a str,
    /// One commit each.
    pub pipelines: &'a [String],
    /// In every commit, when it is not empty.
    pub dockerfile: &'a str,
    /// More of `sallyport.toml`.
    pub tools: &'a str,
    /// More of `worker.toml`'s `[engine]`.
    pub engine: &'a str,
    /// The worker's data lies on a disk of so many bytes.
    pub disk_bytes: Option<u64>,
}

/// The processes, with a folder of their own.
pub struct Yard {
    binaries: PathBuf,
    /// The worker.
    pub worker: WorkerProcess,
    server: Option<Child>,
    pushes: Vec<Push>,
    folder: tempfile::TempDir,
}

impl Yard {
    /// Makes an instance with the project `shop`, commits these pipelines one after the other, enrols a
    /// worker, and starts server and worker. The commits are told by [`Yard::push`].
    pub async fn start(
        place: &Place,
        registry: &Registry,
        wanted: Wanted<'_>,
    ) -> anyhow::Result<Self> {
        let orchestrator = Orchestrator::start().await?;
        let files = |pipeline| {
            let dockerfile = ("Dockerfile", wanted.dockerfile);
            let given = (!wanted.dockerfile.is_empty()).then_some(dockerfile);
            [(".sallyport.yml", pipeline)].into_iter().chain(given)
        };
        let pushes = wanted
            .pipelines
            .iter()
            .map(|pipeline| orchestrator.commit_files(&files(pipeline).collect::<Vec<_>>()))
            .collect::<anyhow::Result<_>>()?;
        let folder = tempfile::tempdir()?;
        let mut worker = WorkerProcess::new(place, folder.path(), wanted.worker).await?;
        worker.engine_keys = wanted.engine.to_owned();
        worker.disk_bytes = wanted.disk_bytes;
        worker.configure(&orchestrator.entrance(), SLOTS)?;
        worker.enrol(&orchestrator.enrolment_token().await?).await?;
        let mut this = Self {
            binaries: place.binaries.clone(),
            worker,
            server: None,
            pushes,
            folder,
        };
        this.move_in(orchestrator, &registry.address, wanted.tools)
            .await?;
        this.start_server()?;
        this.worker.start()?;
        Ok(this)
    }

    /// Takes over what the orchestrator of the other stories made, and gives it a registry that exists
    /// and an entrance that stays.
    async fn move_in(
        &self,
        orchestrator: Orchestrator,
        registry: &str,
        tools: &str,
    ) -> anyhow::Result<()> {
        let data_dir = orchestrator.data_dir();
        let from = data_dir.parent().context("a folder")?;
        let copied = Command::new("cp")
            .arg("-a")
            .arg(from.join("."))
            .arg(self.folder.path())
            .status()?;
        ensure!(copied.success(), "cp: {copied}");
        let (from, to) = (
            from.display().to_string(),
            self.folder.path().display().to_string(),
        );
        orchestrator.stop().await;
        let entrance = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        self.worker
            .configure(&format!("https://{entrance}"), SLOTS)?;
        let path = self.folder.path().join("sallyport.toml");
        let text = std::fs::read_to_string(&path)?
            .replace(&from, &to)
            .replace(
                "[worker]\nlisten = \"127.0.0.1:0\"",
                &format!("[worker]\nlisten = \"{entrance}\""),
            )
            .replace(
                "name = \"registry.example\"",
                &format!("name = \"{registry}\"\nplain-http = true"),
            );
        std::fs::write(&path, format!("{text}{tools}"))?;
        let options = SqliteConnectOptions::new().filename(self.database());
        let mut conn = options.connect().await?;
        for (old, new) in [(from.as_str(), to.as_str()), ("registry.example", registry)] {
            sqlx::query(
                "UPDATE project_settings
                 SET document = CAST(replace(CAST(document AS TEXT), $1, $2) AS BLOB)",
            )
            .bind(old)
            .bind(new)
            .execute(&mut conn)
            .await?;
        }
        Ok(())
    }

    /// Tells the next commit until it is taken.
    pub async fn push(&self, number: usize) -> anyhow::Result<()> {
        let push = &self.pushes[number];
        self.until("the delivery is taken", async || {
            Ok(push.send().await.unwrap_or(false).then_some(()))
        })
        .await
    }

    /// Starts the server.
    pub fn start_server(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(self.binaries.join("sallyport"));
        command
            .arg("--config")
            .arg(self.folder.path().join("sallyport.toml"))
            .arg("serve");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.server = Some(command.spawn().context("start the server")?);
        Ok(())
    }

    /// Ends the server as SIGKILL does.
    pub fn kill_server(&mut self) -> anyhow::Result<()> {
        ended(self.server.take())
    }

    /// Stops the server's process, or lets it go on.
    pub fn server(&self, signal: Signal) -> anyhow::Result<()> {
        let server = self.server.as_ref().context("a server")?;
        Ok(kill(Pid::from_raw(i32::try_from(server.id())?), signal)?)
    }

    /// Waits until a run has ended; its cause.
    pub async fn ended(&self, run: i64) -> anyhow::Result<String> {
        self.until("the run ends", async || {
            let state: Option<(String, Option<String>, Option<String>)> =
                sqlx::query_as("SELECT state, cause, cause_detail FROM run WHERE number = $1")
                    .bind(run)
                    .fetch_optional(&mut self.database_reader().await?)
                    .await?;
            Ok(match state {
                Some((state, cause, detail)) if state != "waiting" && state != "running" => Some(
                    format!("{} {}", cause.unwrap_or(state), detail.unwrap_or_default()),
                ),
                Some(_) | None => None,
            })
        })
        .await
    }

    /// A step of a run.
    pub async fn step(&self, run: i64, name: &str) -> anyhow::Result<StepRow> {
        let row: Option<StepRow> = sqlx::query_as(
            "SELECT s.id, s.name, s.state, s.cause, s.cause_detail, s.fence
             FROM step s JOIN run r ON r.id = s.run_id WHERE r.number = $1 AND s.name = $2",
        )
        .bind(run)
        .bind(name)
        .fetch_optional(&mut self.database_reader().await?)
        .await?;
        row.with_context(|| format!("no step {name}"))
    }

    /// Why each lease of a step ended, in their order.
    pub async fn leases(&self, step: &str) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT l.cause, l.cause_detail FROM lease l JOIN step s ON s.id = l.step_id
             WHERE s.name = $1 ORDER BY l.fence",
        )
        .bind(step)
        .fetch_all(&mut self.database_reader().await?)
        .await?;
        let text = |(cause, detail): (Option<String>, Option<String>)| {
            let words = [cause.unwrap_or_default(), detail.unwrap_or_default()];
            words.join(" ").trim_end().to_owned()
        };
        Ok(rows.into_iter().map(text).collect())
    }

    /// What a worker says that it does with a step.
    pub async fn phase(&self, step: &str) -> anyhow::Result<Option<String>> {
        let row: Option<(Option<String>,)> =
            sqlx::query_as("SELECT phase FROM step WHERE name = $1 AND state = 'leased'")
                .bind(step)
                .fetch_optional(&mut self.database_reader().await?)
                .await?;
        Ok(row.and_then(|(phase,)| phase))
    }

    /// The log of a step's last lease, and what was not kept of it.
    pub async fn log(&self, step: &StepRow) -> anyhow::Result<(Vec<u8>, i64)> {
        let log = kept_log(&self.folder.path().join("data"), &step.id, step.fence)?;
        let dropped: Option<(i64,)> = sqlx::query_as(
            "SELECT log_dropped_bytes FROM report WHERE step_id = $1 AND fence = $2",
        )
        .bind(&step.id)
        .bind(step.fence)
        .fetch_optional(&mut self.database_reader().await?)
        .await?;
        Ok((log, dropped.map_or(0, |(bytes,)| bytes)))
    }

    /// Waits until a step of the first run has printed this.
    pub async fn until_it_prints(&self, step: &str, text: &str) -> anyhow::Result<()> {
        self.until("the step prints", async || {
            let Ok(step) = self.step(1, step).await else {
                return Ok(None);
            };
            let log = self.log(&step).await.unwrap_or_default().0;
            Ok(String::from_utf8_lossy(&log).contains(text).then_some(()))
        })
        .await
    }

    /// Looks again and again until there is an answer.
    pub async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            if Instant::now() > until {
                bail!(
                    "{what}: not in time\n{}\n{}",
                    last_words(&self.folder.path().join("server.log")),
                    self.worker.words()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("data/sallyport.db")
    }

    async fn database_reader(&self) -> anyhow::Result<sqlx::SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(self.database());
        Ok(options.read_only(true).connect().await?)
    }
}

/// A log as it lies in an orchestrator's data folder.
pub fn kept_log(data_dir: &Path, step_id: &str, fence: i64) -> anyhow::Result<Vec<u8>> {
    let folder = data_dir.join("logs").join(step_id).join(fence.to_string());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.sort();
    let mut log = Vec::new();
    for file in files {
        log.extend(std::fs::read(file)?);
    }
    Ok(log)
}

impl Drop for Yard {
    fn drop(&mut self) {
        // A story that failed in the middle leaves no process behind.
        drop(ended(self.server.take()));
    }
}

fn ended(child: Option<Child>) -> anyhow::Result<()> {
    let mut child = child.context("a process")?;
    child.kill()?;
    child.wait()?;
    Ok(())
}
