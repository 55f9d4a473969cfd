//! Running other programs: found in the places where Debian puts them, with errors that say which program said what.

use crate::interrupt::{self, Interrupted};
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The variable by which everything a demo started can be found.
pub(crate) const MARK: &str = "SALLYPORT_DEMO_NAME";

/// The value of [`MARK`] that everything carries which is started from now on.
static MARK_VALUE: OnceLock<String> = OnceLock::new();

/// How often a wait looks whether a program has ended: most take a few milliseconds.
const LOOK: Duration = Duration::from_millis(3);
/// How long a program may take to end after SIGTERM.
const END: Duration = Duration::from_secs(10);

/// Where daemons live that a plain user's PATH does not name.
const SYSTEM_FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// How much of a failed program's words an error repeats.
const TAIL_LINES: usize = 25;

/// Finds a program on PATH or in the system's folders.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Marks every program that is started quietly from now on.
pub(crate) fn mark(name: &str) {
    MARK_VALUE.get_or_init(|| name.to_owned());
}

/// Runs a program whose words only matter when it fails; gives its standard output.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    if let Some(name) = MARK_VALUE.get() {
        command.env(MARK, name);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", described(command)))?;
    let (stdout, stderr) = (
        collected(child.stdout.take()),
        collected(child.stderr.take()),
    );
    let status = wait(&mut child)?;
    let (stdout, stderr) = (text_of(stdout), text_of(stderr));
    if !status.success() {
        bail!(
            "{} ended with {status}:\n{}",
            described(command),
            tail(&(stdout + &stderr))
        );
    }
    Ok(stdout)
}

/// Waits for a program; ends it when this command should end.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    while !interrupt::is_asked() {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(LOOK);
    }
    if let Ok(pid) = i32::try_from(child.id()) {
        kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
    }
    let deadline = Instant::now() + END;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
    child.kill().ok();
    child.wait()?;
    Err(Interrupted.into())
}

fn collected(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).ok();
        }
        bytes
    })
}

fn text_of(stream: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&stream.join().unwrap_or_default()).into_owned()
}

/// Runs a program whose words the person should see as they come.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", described(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", described(command));
    }
    Ok(())
}

/// Whether a program, asked quietly, says yes.
pub(crate) fn succeeds<I, S>(program: &str, arguments: I) -> bool
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The last lines of a text, for an error.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn described(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// How long ago this process began. `cargo` becomes the program that it runs, so this counts its build too.
pub(crate) fn age() -> Result<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").context("read the machine's uptime")?;
    let uptime: f64 = uptime
        .split_whitespace()
        .next()
        .context("an uptime")?
        .parse()?;
    let stat = std::fs::read_to_string("/proc/self/stat").context("read this process's state")?;
    let (_, after) = stat.rsplit_once(')').context("a process has a name")?;
    let started: f64 = after
        .split_whitespace()
        .nth(19)
        .context("a process has a beginning")?
        .parse()?;
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("clock ticks")?;
    let ticks = f64::from(i32::try_from(ticks)?);
    Ok(Duration::from_secs_f64((uptime - started / ticks).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::quiet;
    use std::process::Command;

    #[test]
    fn a_programs_words_come_back_and_its_failure_repeats_them() {
        let said = quiet(Command::new("sh").args(["-c", "echo out; echo err >&2"])).unwrap();
        assert_eq!(said, "out\n");
        let failed = quiet(Command::new("sh").args(["-c", "echo why >&2; exit 7"])).unwrap_err();
        let text = format!("{failed:#}");
        assert!(text.contains("why") && text.contains('7'), "{text}");
    }

    #[test]
    fn a_test_is_a_few_minutes_old_at_most() {
        assert!(super::age().unwrap() < std::time::Duration::from_secs(3600));
    }
}
