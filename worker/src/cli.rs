//! The command line: one function a subcommand; exit codes 0 yes, 1 no, 2 usage, 3 could not.

use crate::agent::{Agent, Keys};
use crate::clock::SystemClock;
use crate::config::{self, Config, LogFormat};
use crate::control_plane::{ControlPlane, Said};
use crate::engine::Engine;
use crate::engine_host;
use crate::identity::{self, EnrolToken, FreshKey, Identity, TOKEN_BYTES_MAX};
use crate::lifecycle::Stopping;
use crate::sandbox::{self, Spares};
use crate::spool;
use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use contract::configuration::{ConfigError, Place};
use contract::protocol::{Enrol, Isolation};
use nix::fcntl::{Flock, FlockArg};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The worker of Sallyport: leases steps and runs them in sandboxed containers.
#[derive(Parser)]
#[command(name = "sallyport-worker", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trade a single-use token for this worker's certificate.
    Enrol {
        #[command(flatten)]
        file: WorkerFile,
        /// A file with the token.
        #[arg(long)]
        token_file: PathBuf,
    },
    /// Say what is wrong with the configuration and what it names, without starting.
    CheckConfig {
        #[command(flatten)]
        file: WorkerFile,
        /// The engine's configuration, to be looked at as well.
        #[arg(long)]
        engine: Option<PathBuf>,
    },
    /// Lease steps and work on them until asked to stop.
    Run {
        #[command(flatten)]
        file: WorkerFile,
    },
    /// Root's part: run the worker's own container engine in namespaces of its own.
    Engine {
        #[command(flatten)]
        file: EngineFile,
    },
    /// The engine's inside; started by `engine` only.
    #[command(hide = true)]
    EngineInside {
        #[command(flatten)]
        file: EngineFile,
        /// The network namespace that this must not be.
        #[arg(long)]
        outer_network: PathBuf,
    },
    /// Try every rule of the sandbox from inside a container.
    Selftest {
        #[command(flatten)]
        file: WorkerFile,
    },
}

#[derive(Args)]
struct WorkerFile {
    /// The worker's configuration.
    #[arg(long, default_value = "worker.toml")]
    config: PathBuf,
    #[command(flatten)]
    over: Over,
}

#[derive(Args)]
struct EngineFile {
    /// The engine's configuration.
    #[arg(long, default_value = "engine.toml")]
    config: PathBuf,
    #[command(flatten)]
    over: Over,
}

#[derive(Args)]
struct Over {
    /// Overrides one key of the configuration: section.key=value.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl From<WorkerFile> for Place {
    fn from(file: WorkerFile) -> Self {
        Self {
            path: file.config,
            set: file.over.set,
        }
    }
}

impl From<EngineFile> for Place {
    fn from(file: EngineFile) -> Self {
        Self {
            path: file.config,
            set: file.over.set,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            let usage = error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if usage { 2 } else { 0 });
        }
    };
    match run(line) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(3)
        }
    }
}

fn run(line: Line) -> anyhow::Result<ExitCode> {
    let command = match line.command {
        // It has no use for the runtime: its threads would be in the way.
        Command::EngineInside {
            file,
            outer_network,
        } => {
            let file = engine_host::File::load(&file.into())?;
            log_to_stderr(file.log.format);
            engine_host::run_inside(&file.engine_host, &outer_network)?;
            return Ok(ExitCode::SUCCESS);
        }
        command @ (Command::Enrol { .. }
        | Command::CheckConfig { .. }
        | Command::Run { .. }
        | Command::Engine { .. }
        | Command::Selftest { .. }) => command,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Enrol { file, token_file } => {
                enrol(&Config::load(&file.into())?, &token_file).await
            }
            Command::CheckConfig { file, engine } => Ok(check_config(&file.into(), engine)),
            Command::Run { file } => work(Config::load(&file.into())?).await,
            Command::Selftest { file } => selftest(&Config::load(&file.into())?).await,
            Command::Engine { file } => {
                let place = file.into();
                let file = engine_host::File::load(&place)?;
                log_to_stderr(file.log.format);
                engine_host::run(&file.engine_host, &place).await?;
                Ok(ExitCode::SUCCESS)
            }
            // Decided above.
            Command::EngineInside { .. } => Ok(ExitCode::from(2)),
        }
    })
}

async fn enrol(config: &Config, token_file: &Path) -> anyhow::Result<ExitCode> {
    let folder = config.worker.identity_dir();
    if config.worker.data_dir.exists()
        && let Err(problem) = config::private_folder(&config.worker.data_dir)
    {
        bail!("{problem}");
    }
    identity::refuse_if_enrolled(&folder)?;
    let length = std::fs::metadata(token_file)
        .with_context(|| format!("read {}", token_file.display()))?
        .len();
    if length > TOKEN_BYTES_MAX as u64 {
        bail!(
            "{} holds no enrolment token: it is too large",
            token_file.display()
        );
    }
    let text = std::fs::read_to_string(token_file)
        .with_context(|| format!("read {}", token_file.display()))?;
    let text = zeroize::Zeroizing::new(text);
    let token = EnrolToken::parse(&text).with_context(|| format!("in {}", token_file.display()))?;
    let fresh = FreshKey::make(&config.worker.name)?;
    let enrol = Enrol {
        token: token.credential.to_string(),
        name: config.worker.name.clone(),
        signing_request: fresh.signing_request.clone(),
    };
    match ControlPlane::enrol(&config.orchestrator.url, token.pin, &enrol).await? {
        Said::Granted(enrolled) => {
            fresh.store(&folder, &enrolled)?;
            say(&format!(
                "{} is enrolled at {}",
                config.worker.name, enrolled.instance_id
            ));
            Ok(ExitCode::SUCCESS)
        }
        Said::Refused(refusal) => {
            complain(&format!("refused: {}", refusal.message));
            Ok(ExitCode::from(1))
        }
    }
}

/// All that is wrong, a line each.
fn check_config(place: &Place, engine: Option<PathBuf>) -> ExitCode {
    let problems = match Config::load_whole(place) {
        Ok((config, origins)) => origins.blame(&config.faults()),
        Err(ConfigError(problems)) => problems,
    };
    let mut good = is_good(&place.path, &problems);
    if let Some(path) = engine {
        let set = Vec::new();
        let read = engine_host::File::load(&Place {
            path: path.clone(),
            set,
        });
        let problems = read.map_or_else(|ConfigError(problems)| problems, |_| Vec::new());
        good &= is_good(&path, &problems);
    }
    ExitCode::from(u8::from(!good))
}

/// Says whether a file is good, and what is not.
fn is_good(path: &Path, problems: &[String]) -> bool {
    for problem in problems {
        complain(&format!("error: {problem}"));
    }
    if problems.is_empty() {
        say(&format!("{} is good", path.display()));
    }
    problems.is_empty()
}

async fn work(config: Config) -> anyhow::Result<ExitCode> {
    log_to_stderr(config.log.format);
    let identity = Identity::load(&config.worker.identity_dir())?;
    let _alone = alone(&config.worker.data_dir)?;
    spool::clear(&config.worker.spool_dir())?;
    let (engine, isolation) = tried(&config, &identity.instance_id).await?;
    if let Some(broken) = sandbox::broken(&isolation) {
        complain(&format!("refusing to lease steps: {broken}"));
        return Ok(ExitCode::from(4));
    }
    let stopping = Stopping::default();
    stopping
        .listen(config.worker.stop_grace())
        .context("listen to signals")?;
    stopping.tasks.spawn({
        let (engine, hard) = (engine.clone(), stopping.hard.clone());
        async move { hard.run_until_cancelled(engine.stay()).await }
    });
    let agent = Arc::new(Agent {
        plane: ControlPlane::connect(config.orchestrator.url.clone(), &identity)?,
        keys: Keys::of(&identity, config.worker.name.clone())?,
        spares: Spares::new(&engine, config.worker.slots.get(), &stopping.tasks),
        engine: engine.clone(),
        isolation,
        spool: config.worker.spool_dir(),
        clock: Arc::new(SystemClock),
        stopping: stopping.clone(),
    });
    let ended = agent.run(config.worker.slots.get()).await;
    stopping.hard.cancel();
    stopping.tasks.close();
    stopping.tasks.wait().await;
    engine.sweep().await?;
    ended?;
    Ok(ExitCode::SUCCESS)
}

async fn selftest(config: &Config) -> anyhow::Result<ExitCode> {
    // It may be tried before the worker is enrolled; then nothing is its own yet.
    let identity = Identity::load(&config.worker.identity_dir());
    let instance = identity.map_or_else(|_| String::new(), |identity| identity.instance_id);
    let folder = &config.worker.data_dir;
    let _alone = folder.exists().then(|| alone(folder)).transpose()?;
    let (_, isolation) = tried(config, &instance).await?;
    say(&format!("level {}", isolation.level));
    for rule in &isolation.rules {
        let word = if rule.held { "held" } else { "BROKEN" };
        say(&format!("{:<20} {word:<7} {}", rule.rule, rule.seen));
    }
    let held = sandbox::broken(&isolation).is_none();
    Ok(ExitCode::from(u8::from(!held)))
}

/// One worker a data folder: a second one would end the containers of the first.
fn alone(data_dir: &Path) -> anyhow::Result<Flock<std::fs::File>> {
    let path = data_dir.join("worker.lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        anyhow::anyhow!(
            "another worker works with {}, or still ends its steps",
            data_dir.display()
        )
    })
}

/// Connects, ends what an earlier process left, and tries the sandbox.
async fn tried(config: &Config, instance: &str) -> anyhow::Result<(Engine, Isolation)> {
    let engine = Engine::connect(&config.engine, instance, config.worker.name.as_str()).await?;
    let swept = engine.sweep().await?;
    if swept > 0 {
        tracing::info!(swept, "containers of an earlier process were ended");
    }
    let isolation = sandbox::selftest(&engine).await?;
    Ok((engine, isolation))
}

fn log_to_stderr(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SALLYPORT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber cannot be set; then the first goes on.
    drop(match format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    });
}

/// The one writer of what people asked for.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The one writer of what went wrong.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
