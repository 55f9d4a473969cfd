//! The spool in a repository: what was pushed and not taken yet, in the order of the pushes.

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Deliveries that wait; a receiver that is away for longer than these pushes is told of the newest by
/// hand.
const SPOOLED_MAX: usize = 10_000;
/// Deliveries that were refused for good and are kept for people; the oldest goes first.
const REFUSED_MAX: usize = 100;
/// The spool's folder in a bare repository.
pub(super) const FOLDER: &str = "sallyport";
/// In it, what waits.
pub(super) const WAITING: &str = "spool";
/// And `<address> <secret>`.
pub(super) const RECEIVER: &str = "receiver";

/// The folder `sallyport/` of a bare repository.
pub(super) struct Spool {
    folder: PathBuf,
}

/// One delivery that waits.
pub(super) struct Spooled {
    pub(super) path: PathBuf,
    /// Its id, the same at each attempt.
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

/// Who takes the deliveries. No `Debug`: it holds a secret.
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) secret: Zeroizing<String>,
}

impl Receiver {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(url), Some(secret), None) => Some(Self {
                url: url.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
            }),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{} {}\n", self.url, self.secret.as_str()))
    }
}

impl Spool {
    pub(super) fn of(repository: &Path) -> Self {
        Self {
            folder: repository.join(FOLDER),
        }
    }

    pub(super) fn waiting_folder(&self) -> PathBuf {
        self.folder.join(WAITING)
    }

    /// Where deliveries go and what they are signed with: one file, replaced as a whole, so that no push
    /// signs for the one hook and sends to the other.
    pub(super) fn receiver(&self) -> anyhow::Result<Receiver> {
        let path = self.folder.join(RECEIVER);
        let text = crate::cli::read_secret(&path)?;
        Receiver::parse(&text)
            .with_context(|| format!("{} is not `<address> <secret>`", path.display()))
    }

    /// How many more deliveries may wait.
    pub(super) fn room(&self) -> anyhow::Result<usize> {
        Ok(SPOOLED_MAX.saturating_sub(self.list()?.len()))
    }

    /// Writes a delivery durably: what was spooled survives the loss of power.
    pub(super) fn add(&self, order: i64, id: &str, body: &[u8]) -> anyhow::Result<()> {
        let folder = self.waiting_folder();
        let path = folder.join(format!("{order:020}-{id}.json"));
        let beside = folder.join(format!(".{id}.new"));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .with_context(|| format!("write {}", beside.display()))?;
        file.write_all(body)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        std::fs::File::open(&folder)?.sync_all()?;
        Ok(())
    }

    /// Takes one out of the way that the receiver will never take, with its answer beside it.
    pub(super) fn set_aside(&self, spooled: &Spooled, why: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("refused");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let kept = json_files(&folder)?;
        let too_many = (kept.len() + 1).saturating_sub(REFUSED_MAX);
        for old in kept.iter().take(too_many) {
            drop(std::fs::remove_file(old.with_extension("txt")));
            std::fs::remove_file(old).with_context(|| format!("remove {}", old.display()))?;
        }
        let name = spooled.path.file_name().unwrap_or_default();
        let path = folder.join(name);
        std::fs::write(path.with_extension("txt"), format!("{why}\n"))?;
        std::fs::rename(&spooled.path, &path)
            .with_context(|| format!("move {}", spooled.path.display()))?;
        Ok(path)
    }

    /// What waits, oldest first.
    pub(super) fn list(&self) -> anyhow::Result<Vec<PathBuf>> {
        json_files(&self.waiting_folder())
    }

    /// Reads one that waits; `None` when another process has just sent it.
    pub(super) fn read(path: &Path) -> anyhow::Result<Option<Spooled>> {
        let body = match std::fs::read(path) {
            Ok(body) => body,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let id = stem.split_once('-').map_or(stem, |(_, id)| id).to_owned();
        Ok(Some(Spooled {
            path: path.to_owned(),
            id,
            body,
        }))
    }

    /// One sender at a time keeps the order; `None` when another sends.
    pub(super) fn lock_sender(&self) -> anyhow::Result<Option<Flock<std::fs::File>>> {
        self.lock("sender.lock")
    }

    /// One retry is enough, however many pushes an outage sees; `None` when there is one.
    pub(super) fn lock_retry(&self) -> anyhow::Result<Option<Flock<std::fs::File>>> {
        self.lock("retry.lock")
    }

    fn lock(&self, name: &str) -> anyhow::Result<Option<Flock<std::fs::File>>> {
        let path = self.folder.join(name);
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
    }
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    Ok(paths)
}
