//! A private PostgreSQL for the tests: a cluster of its own in a temporary folder, on a free loopback port, gone at the end.

use crate::program;
use anyhow::{Context as _, Result, bail};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a fresh cluster may take until it answers.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(20);

/// A running cluster; dropping it ends the server and removes its folder.
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

/// The folder with `initdb` and `postgres`: on PATH, or where Debian keeps its versions.
pub(crate) fn programs() -> Option<PathBuf> {
    if let (Some(initdb), Some(_)) = (program::find("initdb"), program::find("postgres")) {
        // PATH may show links: the server wants its own folder.
        let real = std::fs::canonicalize(initdb).ok()?;
        return real.parent().map(PathBuf::from);
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop()
}

impl Postgres {
    /// Makes and starts a cluster that trusts everybody on this machine's loopback.
    pub(crate) fn start() -> Result<Self> {
        let programs = programs().context("postgres is not installed")?;
        let folder = tempfile::Builder::new().prefix("sallyport-pg-").tempdir()?;
        let owner = owner()?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        let data = folder.path().join("data");
        let as_owner = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command.current_dir(folder.path()).env_remove("PGDATA");
            command
        };
        program::quiet(
            as_owner("initdb")
                .args([
                    "--username=postgres",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--locale=C",
                    "-D",
                ])
                .arg(&data)
                .arg("--no-sync"),
        )?;
        let port = free_port()?;
        // Durability is the product's business, not the test cluster's: without fsync it is several times faster.
        let server = as_owner("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .args(["-c", "fsync=off", "-c", "max_connections=200"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log"))?)
            .spawn()
            .context("start postgres")?;
        let mut postgres = Self {
            server,
            port,
            _folder: folder,
        };
        postgres.wait_until_it_answers()?;
        Ok(postgres)
    }

    /// The address of the cluster's administrative database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.server.try_wait()? {
                bail!("postgres ended at once with {status}");
            }
            if Instant::now() > deadline {
                bail!("postgres did not answer within {START:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.server.id()) else {
            return;
        };
        // SIGINT is PostgreSQL's "fast" end: it does not wait for open connections.
        let asked = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        );
        let deadline = Instant::now() + STOP;
        while asked.is_ok() && Instant::now() < deadline {
            if matches!(self.server.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.server.kill().is_ok() {
            self.server.wait().ok();
        }
    }
}

/// PostgreSQL refuses to run as root; it is nobody then.
fn owner() -> Result<Option<(u32, u32)>> {
    if !program::is_root() {
        return Ok(None);
    }
    let nobody = nix::unistd::User::from_name("nobody")?.context("this machine has no `nobody`")?;
    Ok(Some((nobody.uid.as_raw(), nobody.gid.as_raw())))
}

/// A port of the loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::Postgres;

    #[test]
    fn a_private_cluster_answers_and_is_gone_afterwards() {
        if super::programs().is_none() {
            println!("skipped: no postgres on this machine");
            return;
        }
        let postgres = Postgres::start().unwrap();
        let port = postgres.port;
        assert!(postgres.url().ends_with("/postgres"));
        drop(postgres);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
