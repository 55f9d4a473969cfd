//! The command line: `sallyport <command>`.
//!
//! *Comes in*: words, files, standard input. *Goes out*: calls of the API, and an exit code that is
//! the answer ([`exit`]).
//! *Owns*: what is printed.
//! *Never*: the store of a running server (only `init` and `serve` open it, under its lock file); a
//! secret as an argument.
//! *Before / After*: a shell / `http::api`; `serve` and `signer run` start the processes themselves.

mod advisories;
mod check_config;
mod client;
mod hook;
mod init;
mod lint;
mod project;
mod promotion;
mod run;
mod serve;
mod shown;
mod signer;
mod user;
mod worker;

use crate::config::Place;
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How often a command that waits looks.
const LOOK: Duration = Duration::from_millis(500);

/// Exit codes of all our programs (DECISIONS 7).
pub mod exit {
    /// Yes.
    pub const YES: u8 = 0;
    /// The answer is no: complaints, a closed gate, a failed verification.
    pub const NO: u8 = 1;
    /// The call's words are off.
    pub const USAGE: u8 = 2;
    /// It could not be found out.
    pub const COULD_NOT: u8 = 3;
    /// Not permitted.
    pub const NOT_PERMITTED: u8 = 4;
}

/// A secure build pipeline: from `git push` to an approved promotion.
#[derive(Debug, Parser)]
#[command(name = "sallyport", version)]
pub struct Cli {
    /// The server's configuration.
    #[arg(
        long,
        global = true,
        env = "SALLYPORT_CONFIG",
        default_value = "sallyport.toml"
    )]
    config: PathBuf,
    /// Sets one key over the file and the environment: `--set server.listen=127.0.0.1:7420`.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this instance: its keys and the first administrator.
    Init(init::InitArgs),
    /// Say what is wrong with the configuration, without starting.
    CheckConfig,
    /// Run the server.
    Serve,
    /// Say what is wrong with a pipeline file.
    Lint(lint::LintArgs),
    /// Print a pipeline file with every default filled in.
    Explain(lint::ExplainArgs),
    /// Entrances for deliveries.
    #[command(subcommand)]
    Hook(hook::HookCommand),
    /// Projects and their settings.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Promotions of releases into environments.
    #[command(subcommand)]
    Promotion(promotion::PromotionCommand),
    /// Runs and their steps.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// Workers.
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    /// The process that holds the provenance and release keys (`--config signer.toml`).
    #[command(subcommand)]
    Signer(signer::SignerCommand),
    /// People and their roles.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Advisories against packages (OSV).
    #[command(subcommand)]
    Advisories(advisories::AdvisoriesCommand),
}

/// Runs one command; the exit code says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let place = Place {
        path: cli.config,
        set: cli.set,
    };
    let result = match cli.command {
        Command::Init(args) => init::init(&place, args).await,
        Command::CheckConfig => Ok(check_config::server(&place)),
        Command::Serve => serve::run(&place).await,
        Command::Lint(args) => lint::lint(&args),
        Command::Explain(args) => lint::explain_file(&args),
        Command::Hook(command) => hook::run(&place, command).await,
        Command::Project(command) => project::run(&place, command).await,
        Command::Promotion(command) => promotion::run(&place, command).await,
        Command::Run(command) => run::run(&place, command).await,
        Command::Worker(command) => worker::run(&place, command).await,
        Command::Signer(command) => signer::run(&place, command).await,
        Command::User(command) => user::run(&place, command).await,
        Command::Advisories(command) => advisories::run(&place, command).await,
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(exit::COULD_NOT)
        }
    }
}

/// Says something to the person at the terminal, on standard output. Whoever has stopped to read (`| head`)
/// is not told the rest.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Complains to the person at the terminal, on standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The longest secret that a file may hold: a password or a hook's secret, not a mistaken disk image.
const SECRET_BYTES_MAX: u64 = 4_096;

/// Reads a secret from a file; one line end after it is not part of it.
pub(crate) fn read_secret(path: &std::path::Path) -> anyhow::Result<zeroize::Zeroizing<String>> {
    use anyhow::Context as _;
    use std::io::Read as _;
    let mut text = zeroize::Zeroizing::new(String::new());
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(SECRET_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("read {}", path.display()))?;
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    Ok(zeroize::Zeroizing::new(
        trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned(),
    ))
}
