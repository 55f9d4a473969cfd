//! The demo's programs: started under accounts of their own, each with its log, ended in reverse order.

use super::ledger::{Ledger, Process};
use super::place::{Account, Place};
use crate::interrupt;
use crate::program::{self, MARK};
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end after SIGTERM.
const END: Duration = Duration::from_secs(40);
/// How often a wait looks again.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// What runs.
pub(crate) struct Programs {
    running: Vec<Running>,
    logs: PathBuf,
}

struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// A command that runs as an account (as this user, where this is not root) and dies with this process:
/// `setpriv` asks the kernel for a SIGTERM at our end, however that comes.
pub(crate) fn command(
    ledger: &Ledger,
    account: Option<Account>,
    program: &std::path::Path,
) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]);
    if let (Some(account), true) = (account, program::is_root()) {
        let id = account.id().to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.env("HOME", "/nonexistent");
    }
    command.arg("--").arg(program);
    command
        .env(MARK, &ledger.entry.name)
        // As in the units of docs/operations.md.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

impl Programs {
    pub(crate) fn new(place: &Place) -> Result<Self> {
        let logs = place.folder("logs", None, 0o755)?;
        Ok(Self {
            running: Vec::new(),
            logs,
        })
    }

    /// Starts a program that ends with its standard input: one that this user may not send signals to.
    pub(crate) fn start_held(
        &mut self,
        ledger: &mut Ledger,
        name: &'static str,
        mut command: Command,
    ) -> Result<()> {
        command.stdin(Stdio::piped());
        self.start(ledger, name, command)
    }

    /// Starts a program whose words go into a log of its own.
    pub(crate) fn start(
        &mut self,
        ledger: &mut Ledger,
        name: &'static str,
        mut command: Command,
    ) -> Result<()> {
        let log = self.logs.join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let child = command
            .stdout(file.try_clone()?)
            .stderr(file)
            // A group of its own: Ctrl-C on the terminal is for the demo, which ends its programs in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("a process number")?;
        self.running.push(Running { name, child, log });
        if let Some(process) = Process::of(pid) {
            ledger.add(name, process)?;
        }
        Ok(())
    }

    /// Waits until something is true, as long as all programs live.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_true: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if is_true()? {
                return Ok(());
            }
            self.all_live()?;
            if Instant::now() > deadline {
                bail!("{what} did not come within {} s", limit.as_secs());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// An error with the last words of the first program that ended, or when the demo should end.
    pub(crate) fn all_live(&mut self) -> Result<()> {
        interrupt::check()?;
        for running in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                let words = std::fs::read_to_string(&running.log).unwrap_or_default();
                bail!(
                    "{} ended with {status}:\n{}",
                    running.name,
                    program::tail(&words)
                );
            }
        }
        Ok(())
    }

    /// Ends one program.
    pub(crate) fn stop(&mut self, name: &str) -> Result<()> {
        let place = self.running.iter().position(|running| running.name == name);
        let Some(place) = place else { return Ok(()) };
        end(self.running.remove(place))
    }

    /// Ends all programs, the last started first; every one is tried.
    pub(crate) fn stop_all(&mut self) -> Result<()> {
        let mut first_error = Ok(());
        while let Some(running) = self.running.pop() {
            let ended = end(running);
            if first_error.is_ok() {
                first_error = ended;
            }
        }
        first_error
    }
}

/// Asks a program to end, and ends it when it does not.
fn end(mut running: Running) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(running.child.id()).context("a process number")?);
    let held = running.child.stdin.take();
    if held.is_none() && running.child.try_wait()?.is_none() {
        kill(pid, Signal::SIGTERM).ok();
    }
    drop(held);
    let deadline = Instant::now() + END;
    while running.child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            running.child.kill().ok();
            running.child.wait()?;
            bail!(
                "{} did not end {} s after SIGTERM and was killed",
                running.name,
                END.as_secs()
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

impl Drop for Programs {
    /// On the way out of an error: nobody is left behind.
    fn drop(&mut self) {
        if let Err(error) = self.stop_all() {
            eprintln!("while ending: {error:#}");
        }
    }
}
