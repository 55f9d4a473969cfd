//! Container engines as they should not be: one that hangs, one whose connections are cut, one that does not
//! do what it is told.

use crate::place::Place;
use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// dockerd with its containerd, on a slow disk.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// An engine of a story's own; ended with the value.
pub struct OwnEngine {
    child: Child,
    folder: tempfile::TempDir,
}

impl OwnEngine {
    /// Starts `sallyport-worker engine`; its cgroup has this name.
    pub async fn start(place: &Place, cgroup: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("engine.toml");
        let text = format!(
            "[engine-host]\ncgroup = \"{cgroup}\"\ndata-dir = \"{0}/data\"\nrun-dir = \"{0}/run\"\n\
             group = 0\nregistries = [\"{1}\"]\n[log]\nformat = \"json\"\n",
            folder.path().display(),
            place.registry,
        );
        std::fs::write(&file, text)?;
        let log = std::fs::File::create(folder.path().join("engine.log"))?;
        let child = Command::new(place.binaries.join("sallyport-worker"))
            .args(["engine", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start the engine")?;
        let this = Self { child, folder };
        let until = Instant::now() + START;
        while UnixStream::connect(this.socket()).await.is_err() {
            ensure!(Instant::now() < until, "the engine does not answer");
            tokio::time::sleep(LOOK).await;
        }
        Ok(this)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/docker.sock")
    }

    /// Stops its dockerd, or lets it go on. Containers do not need it to run.
    pub fn dockerd(&self, signal: Signal) -> anyhow::Result<()> {
        let host = format!("unix://{}", self.socket().display());
        for entry in std::fs::read_dir("/proc")? {
            let entry = entry?;
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let mut words = line.split('\0');
            if words.next() == Some("dockerd") && words.any(|word| word == host) {
                let number = entry.file_name().to_string_lossy().parse()?;
                return Ok(kill(Pid::from_raw(number), signal)?);
            }
        }
        bail!("there is no dockerd at {host}")
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        drop(self.dockerd(Signal::SIGCONT));
        if let Ok(number) = i32::try_from(self.child.id()) {
            let _ended = kill(Pid::from_raw(number), Signal::SIGTERM);
        }
        drop(self.child.wait());
    }
}

/// Stands before an engine's socket and passes on what is said, until it is told to do otherwise.
pub struct FaultyEngine {
    folder: tempfile::TempDir,
    cut: watch::Sender<u64>,
    forgets: Arc<AtomicBool>,
    _accepting: AbortOnDropHandle<()>,
}

impl FaultyEngine {
    /// Stands before this engine.
    pub fn before(engine: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pods = engine.with_file_name(worker::engine::PODS_SOCKET);
        std::os::unix::fs::symlink(pods, folder.path().join(worker::engine::PODS_SOCKET))?;
        let listener = UnixListener::bind(folder.path().join("docker.sock"))?;
        let (cut, seen) = watch::channel(0);
        let forgets = Arc::new(AtomicBool::new(false));
        let (engine, forgetting) = (engine.to_owned(), forgets.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the value")]
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (engine, mut seen) = (engine.clone(), seen.clone());
                let forgets = forgetting.clone();
                seen.mark_unchanged();
                #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
                tokio::spawn(async move { drop(pass_on(client, &engine, seen, &forgets).await) });
            }
        });
        Ok(Self {
            folder,
            cut,
            forgets,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Where it stands.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Cuts the connections over which the output of containers comes that run now: they close as well as
    /// any other.
    pub fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// From now on, or no more: containers keep the capabilities that they are to be made without.
    pub fn forgets_to_drop_capabilities(&self, forgets: bool) {
        self.forgets.store(forgets, Ordering::SeqCst);
    }
}

/// How a request says that all capabilities are to go, and as many bytes that say nothing.
const DROPPED: (&str, &str) = (r#""CapDrop":["ALL"]"#, r#""CapDrop":[     ]"#);

async fn pass_on(
    client: UnixStream,
    engine: &Path,
    mut cut: watch::Receiver<u64>,
    forgets: &AtomicBool,
) -> anyhow::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = UnixStream::connect(engine).await?.into_split();
    let (mut asked, mut said) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_output = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let bytes = &mut asked[..read?];
                is_output |= bytes.windows(8).any(|window| window == b"/attach?");
                if bytes.is_empty() {
                    to_engine.shutdown().await?;
                    // What the engine has left to say is passed on.
                    tokio::io::copy(&mut from_engine, &mut to_client).await?;
                    return Ok(());
                }
                if forgets.load(Ordering::SeqCst) {
                    replace(bytes, DROPPED);
                }
                to_engine.write_all(bytes).await?;
            }
            read = from_engine.read(&mut said) => {
                let bytes = &said[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                to_client.write_all(bytes).await?;
            }
            _ = cut.changed() => {
                if is_output {
                    return Ok(());
                }
            }
        }
    }
}

/// Both texts are of one length, or the request would have another one than it says.
fn replace(bytes: &mut [u8], (old, new): (&str, &str)) {
    let at = bytes
        .windows(old.len())
        .position(|window| window == old.as_bytes());
    if let Some(at) = at {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
}
