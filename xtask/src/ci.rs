//! `cargo ci`: everything that has to hold before a change lands, one stage after the other, each timed.

use crate::needs;
use crate::postgres::Postgres;
use crate::program;
use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where tests find the PostgreSQL that this command started.
const POSTGRES_VARIABLE: &str = "SALLYPORT_TEST_POSTGRES";

/// Where the crash sweep finds the server with kill points.
const KILL_VARIABLE: &str = "SALLYPORT_KILL_BINARY";

/// Where the worker's own tests find a container engine.
const ENGINE_VARIABLE: &str = "SALLYPORT_TEST_ENGINE";
/// dockerd with its containerd, on a slow disk.
const ENGINE_START: Duration = Duration::from_secs(60);

/// What `cargo ci` may be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    #[arg(long)]
    install: bool,
}

/// Runs the stages; the first that fails ends it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("needs", || {
        needs::ensure(&[needs::DEMO, needs::TESTS], options.install)
    })?;
    stages.run("format", || {
        program::shown(cargo().args(["fmt", "--all", "--check"]))
    })?;
    stages.run("lints", || {
        program::shown(cargo().args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stages.run("tests", tests)?;
    stages.run("sandbox", sandbox)?;
    stages.run("crash sweep", crash_sweep)?;
    stages.run("demo check", demo_check)?;
    stages.print_table();
    Ok(())
}

/// Unit, tidy and store tests and the stories; then the store tests once more, on PostgreSQL.
fn tests() -> Result<()> {
    let postgres = Postgres::start().context("start the tests' PostgreSQL")?;
    let (all, on_postgres): (&[&str], &[&str]) =
        if program::succeeds("cargo", ["nextest", "--version"]) {
            (
                &["nextest", "run", "--workspace", "--no-fail-fast"],
                &[
                    "nextest",
                    "run",
                    "--no-fail-fast",
                    "-p",
                    "orchestrator",
                    "--run-ignored",
                    "only",
                    "-E",
                    "test(/::postgres$/)",
                ],
            )
        } else {
            (
                &["test", "--workspace", "--no-fail-fast"],
                &[
                    "test",
                    "-p",
                    "orchestrator",
                    "--lib",
                    "--",
                    "--ignored",
                    "::postgres",
                ],
            )
        };
    for arguments in [all, on_postgres] {
        program::shown(
            cargo()
                .args(arguments)
                .env(POSTGRES_VARIABLE, postgres.url()),
        )?;
    }
    Ok(())
}

/// The whole way, with no person.
fn demo_check() -> Result<()> {
    if !program::is_root() {
        println!("SKIPPED, not passed: the worker's engine needs root");
        return Ok(());
    }
    program::shown(cargo().args(["run", "--quiet", "-p", "xtask", "--", "demo", "--check"]))
}

/// The sandbox's rules, each held and each taken away, and a canary beside the builder, in the
/// worker's own engine. That engine needs root: without it this is skipped, and said so.
fn sandbox() -> Result<()> {
    if !program::is_root() {
        println!("SKIPPED, not passed: the worker's engine needs root");
        return Ok(());
    }
    program::shown(cargo().args(["build", "--quiet", "-p", "worker"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), PathBuf::from);
    let folder = tempfile::tempdir()?;
    let (file, socket) = (
        folder.path().join("engine.toml"),
        folder.path().join("run/docker.sock"),
    );
    let text = format!(
        "[engine-host]\ncgroup = \"sallyport-ci\"\ndata-dir = \"{0}/data\"\nrun-dir = \"{0}/run\"\n\
         group = 0\nregistries = [\"127.0.0.1:5999\"]\n",
        folder.path().display()
    );
    std::fs::write(&file, text)?;
    let mut engine = Command::new(target.join("debug/sallyport-worker"))
        .args(["engine", "--config"])
        .arg(&file)
        .spawn()
        .context("start the worker's engine")?;
    let tested = until_it_answers(&socket).and_then(|()| {
        let test = [
            "test",
            "--quiet",
            "-p",
            "worker",
            "--lib",
            "--",
            "--ignored",
        ];
        program::shown(cargo().args(test).env(ENGINE_VARIABLE, &socket))
    });
    let id = Pid::from_raw(i32::try_from(engine.id()).context("a process number")?);
    kill(id, Signal::SIGTERM).context("end the worker's engine")?;
    engine.wait().context("wait for the worker's engine")?;
    tested
}

fn until_it_answers(socket: &std::path::Path) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < ENGINE_START {
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the worker's engine did not start")
}

/// The orchestrator ends itself at each point of the way and is started again. The server with kill
/// points is a copy beside the usual one, which the next build would otherwise replace.
fn crash_sweep() -> Result<()> {
    let build = [
        "build",
        "--quiet",
        "-p",
        "orchestrator",
        "--features",
        "kill-points",
        "--bin",
        "sallyport",
    ];
    program::shown(cargo().args(build))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), PathBuf::from);
    let (built, kept) = (
        target.join("debug/sallyport"),
        target.join("debug/sallyport-kill-points"),
    );
    std::fs::copy(&built, &kept).with_context(|| format!("copy {}", built.display()))?;
    let test = [
        "test",
        "--quiet",
        "-p",
        "tests",
        "--test",
        "crash_sweep",
        "--",
        "--ignored",
    ];
    program::shown(cargo().args(test).env(KILL_VARIABLE, kept))
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// The repository's root: this crate's parent folder.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[derive(Default)]
struct Stages {
    done: Vec<(&'static str, Duration)>,
}

impl Stages {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        match &outcome {
            Ok(()) => println!("==> {name}: {:.1} s", took.as_secs_f64()),
            Err(_) => println!("==> {name}: FAILED after {:.1} s", took.as_secs_f64()),
        }
        self.done.push((name, took));
        outcome.with_context(|| format!("stage {name}"))
    }

    fn print_table(&self) {
        println!("\nAll stages passed:");
        for (name, took) in &self.done {
            println!("  {name:<10} {:>8.1} s", took.as_secs_f64());
        }
        let all: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!("  {:<10} {:>8.1} s", "together", all.as_secs_f64());
    }
}
