//! `cargo ci`: everything that has to hold before a change lands, one stage after the other, each timed.

use crate::bench::Record;
use crate::built::{Tests, cargo, programs, target};
use crate::postgres::{Postgres, free_port};
use crate::stages::Stages;
use crate::{demo, images, needs, pictures, program, venv};
use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where tests find the PostgreSQL that this command started.
const POSTGRES_VARIABLE: &str = "SALLYPORT_TEST_POSTGRES";

/// Where stories find the server with kill points.
const KILL_VARIABLE: &str = "SALLYPORT_KILL_BINARY";

/// The variable by which the hook is told where to end the server (`orchestrator/src/kill.rs`).
const KILL_HOOK: &str = "SALLYPORT_KILL_AT";

/// Every how manyth kill point the crash sweep takes on PostgreSQL.
const SWEEP_EVERY_VARIABLE: &str = "SALLYPORT_SWEEP_POSTGRES_EVERY";

/// Where the worker's own tests find a container engine.
const ENGINE_VARIABLE: &str = "SALLYPORT_TEST_ENGINE";
/// The address of a registry that this engine reaches; tests listen there.
const REGISTRY_VARIABLE: &str = "SALLYPORT_TEST_REGISTRY";
/// Where stories of the real worker find its programs.
const BINARIES_VARIABLE: &str = "SALLYPORT_TEST_BINARIES";
/// The stories of the real worker.
const STORIES: [&str; 3] = ["real_worker", "worker_faults", "real_story"];
/// dockerd with its containerd, on a slow disk.
const ENGINE_START: Duration = Duration::from_secs(60);

/// Where the independent verification finds a Python with securesystemslib.
const PYTHON_VARIABLE: &str = "SALLYPORT_TEST_PYTHON";

const NEEDS_ROOT: &str = "the worker's engine needs root";

/// What `cargo ci` may be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    #[arg(long)]
    install: bool,
    /// Keep the times of the stages in docs/measured/ci.txt.
    #[arg(long)]
    record: bool,
}

/// How much of the crash sweep is run on PostgreSQL; on SQLite it is all of it.
#[derive(Clone, Copy)]
pub(crate) enum Sweep {
    /// Every fifth kill point: `cargo ci`.
    Part,
    /// Every kill point: `cargo ci-long`.
    Whole,
}

/// Runs the stages; the first that fails ends it.
pub(crate) fn run(options: &Options, sweep: Sweep) -> Result<()> {
    let is_root = program::is_root();
    let mut stages = Stages::default();
    stages.run("needs", || {
        needs::ensure(&[needs::DEMO, needs::TESTS], options.install)
    })?;
    stages.run("format", || {
        program::shown(cargo().args(["fmt", "--all", "--check"]))
    })?;
    stages.run("pictures", pictures::are_current)?;
    stages.run("lints", lints)?;
    let mut built = None;
    stages.run("build", || {
        built = Some(Tests::build()?);
        Ok(())
    })?;
    let built = built.context("the build stage gives the tests")?;
    let mut postgres = None;
    stages.run("tests", || {
        let started = postgres.insert(Postgres::start().context("start the tests' PostgreSQL")?);
        tests(started)
    })?;
    let postgres = postgres.context("the tests' PostgreSQL runs")?;
    stages.run("stores on PostgreSQL", || {
        let mut stores = built.command("orchestrator", "orchestrator")?;
        stores.args(["--quiet", "--ignored", "::postgres"]);
        program::shown(stores.env(POSTGRES_VARIABLE, postgres.url()))
    })?;
    stages.run("main story on PostgreSQL", || {
        let mut story = built.command("tests", "main_story")?;
        story.args(["--quiet", "--ignored"]);
        program::shown(story.env(POSTGRES_VARIABLE, postgres.url()))
    })?;
    stages.run("independent verification", || {
        let python = venv::securesystemslib(&demo::kept()?)?;
        let mut verified = built.command("evidence", "independent")?;
        program::shown(verified.arg("--ignored").env(PYTHON_VARIABLE, python))
    })?;
    let mut kills = None;
    stages.run("kill points", || {
        kills = Some(with_kill_points()?);
        Ok(())
    })?;
    let kills = kills.context("the stage before gives the server with kill points")?;
    stages.run_if(is_root, NEEDS_ROOT, "sandbox", || sandbox(&built, &kills))?;
    stages.run("crash sweep", || {
        crash_sweep(&built, &kills, &postgres, sweep)
    })?;
    drop(postgres);
    stages.run_if(
        is_root,
        NEEDS_ROOT,
        "demo check and browser",
        demo::check_in_browser,
    )?;
    stages.run_if(is_root, NEEDS_ROOT, "killed demos", || {
        demo::kills(matches!(sweep, Sweep::Whole))
    })?;
    if matches!(sweep, Sweep::Whole) {
        stages.run_if(
            is_root,
            NEEDS_ROOT,
            "images made twice",
            images::made_twice_alike,
        )?;
    }
    if options.record {
        record(&stages)?;
    }
    stages.conclude()
}

fn record(stages: &Stages) -> Result<()> {
    let mut record = Record::new(
        "ci",
        "`cargo ci`, stage by stage",
        "Wall time of each stage of `cargo ci --record`, with whatever was compiled and cached before it began.",
    )?;
    for line in stages.table().0.lines() {
        record.line(line);
    }
    record.keep()
}

fn lints() -> Result<()> {
    program::shown(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Unit and tidy tests, the store tests on SQLite, the stories.
fn tests(postgres: &Postgres) -> Result<()> {
    let all: &[&str] = if program::succeeds("cargo", ["nextest", "--version"]) {
        &["nextest", "run", "--workspace", "--no-fail-fast"]
    } else {
        &["test", "--quiet", "--workspace", "--no-fail-fast"]
    };
    program::shown(cargo().args(all).env(POSTGRES_VARIABLE, postgres.url()))
}

/// The sandbox's rules, each held and each taken away, a canary beside the builder, and stories of the
/// real worker, in the worker's own engine; in one of them the orchestrator is killed in each stage.
fn sandbox(built: &Tests, kills: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, socket, log) = (
        folder.path().join("engine.toml"),
        folder.path().join("run/docker.sock"),
        folder.path().join("engine.log"),
    );
    let registry = format!("127.0.0.1:{}", free_port()?);
    let text = format!(
        "[engine-host]\ncgroup = \"sallyport-ci-{1}\"\ndata-dir = \"{0}/data\"\nrun-dir = \"{0}/run\"\n\
         group = 0\nregistries = [\"{registry}\"]\n",
        folder.path().display(),
        std::process::id()
    );
    std::fs::write(&file, text)?;
    let before = host_engine();
    let mut engine = Command::new(target().join("debug/sallyport-worker"))
        .args(["engine", "--config"])
        .arg(&file)
        .stderr(std::fs::File::create(&log)?)
        .spawn()
        .context("start the worker's engine")?;
    let tested = until_it_answers(&socket).and_then(|()| {
        let mut tests = vec![built.command("worker", "worker")?];
        for stories in STORIES {
            let mut stories = built.command("tests", stories)?;
            // One after the other: they share the one address at which the engine reaches a registry.
            stories.arg("--test-threads=1");
            tests.push(stories);
        }
        for tests in &mut tests {
            tests
                .arg("--ignored")
                .env(ENGINE_VARIABLE, &socket)
                .env(REGISTRY_VARIABLE, &registry)
                .env(BINARIES_VARIABLE, target().join("debug"))
                .env(KILL_VARIABLE, kills);
            program::shown(tests)?;
        }
        Ok(())
    });
    let id = Pid::from_raw(i32::try_from(engine.id()).context("a process number")?);
    kill(id, Signal::SIGTERM).context("end the worker's engine")?;
    engine.wait().context("wait for the worker's engine")?;
    anyhow::ensure!(
        before == host_engine(),
        "containers or networks of the host's own engine were touched"
    );
    tested.with_context(|| {
        let words = std::fs::read_to_string(&log).unwrap_or_default();
        format!("the engine said:\n{}", program::tail(&words))
    })
}

/// Containers and networks of the host's own engine, where it has one.
fn host_engine() -> Vec<String> {
    let lists: [&[&str]; 2] = [
        &["ps", "--all", "--quiet", "--no-trunc"],
        &["network", "ls", "--no-trunc"],
    ];
    lists
        .iter()
        .filter_map(|arguments| program::quiet(Command::new("docker").args(*arguments)).ok())
        .collect()
}

fn until_it_answers(socket: &Path) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < ENGINE_START {
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the worker's engine did not start")
}

/// A server that ends itself where it is told, for tests alone. It is built in the same folder, where
/// only the orchestrator is compiled once more (a folder of its own would compile every dependency
/// again), and copied away, because the next build replaces it.
fn with_kill_points() -> Result<PathBuf> {
    let build = [
        "build",
        "--quiet",
        "--workspace",
        "--features",
        "orchestrator/kill-points",
        "--bin",
        "sallyport",
    ];
    program::shown(cargo().args(build))?;
    let (from, kept) = (
        target().join("debug/sallyport"),
        target().join("debug/sallyport-kill-points"),
    );
    std::fs::copy(&from, &kept).with_context(|| format!("copy {}", from.display()))?;
    programs("dev").context("put the server without kill points back")?;
    // The hook is in no build but this one.
    anyhow::ensure!(
        has_kill_points(&kept) && !has_kill_points(&from),
        "kill points are to be in {} and not in {}",
        kept.display(),
        from.display()
    );
    Ok(kept)
}

fn has_kill_points(program: &Path) -> bool {
    let arguments = ["--quiet", "--fixed-strings", KILL_HOOK].map(OsStr::new);
    program::succeeds("grep", arguments.into_iter().chain([program.as_os_str()]))
}

/// The orchestrator ends itself at each point of the way and is started again, on both databases.
fn crash_sweep(built: &Tests, kills: &Path, postgres: &Postgres, sweep: Sweep) -> Result<()> {
    let every = match sweep {
        Sweep::Part => "5",
        Sweep::Whole => "1",
    };
    let mut stories = built.command("tests", "crash_sweep")?;
    // One database after the other: each sweep is several stories at a time already.
    stories.args(["--ignored", "--nocapture", "--test-threads=1"]);
    stories.env(POSTGRES_VARIABLE, postgres.url());
    program::shown(
        stories
            .env(KILL_VARIABLE, kills)
            .env(SWEEP_EVERY_VARIABLE, every),
    )
}

/// The repository's root: this crate's parent folder.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), PathBuf::from)
}
