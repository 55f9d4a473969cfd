//! The spool in a repository: what was pushed and not taken yet, in the order of the pushes.

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Deliveries that wait; a receiver that is away for longer than these pushes is told of the newest by
/// hand.
const SPOOLED_MAX: usize = 10_000;

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

impl Spool {
    pub(super) fn of(repository: &Path) -> Self {
        Self {
            folder: repository.join("sallyport"),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn waiting_folder(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// Where deliveries go.
    pub(super) fn url(&self) -> anyhow::Result<String> {
        let path = self.folder.join("url");
        let url =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(url.trim().to_owned())
    }

    /// What they are signed with.
    pub(super) fn secret(&self) -> anyhow::Result<Zeroizing<String>> {
        crate::cli::read_secret(&self.folder.join("secret"))
    }

    /// Writes a delivery durably: what was spooled survives the loss of power.
    pub(super) fn add(&self, order: i64, id: &str, body: &[u8]) -> anyhow::Result<()> {
        let folder = self.waiting_folder();
        if self.list()?.len() >= SPOOLED_MAX {
            bail!("{SPOOLED_MAX} pushes wait in {}", folder.display());
        }
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

    /// What waits, oldest first.
    pub(super) fn list(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.waiting_folder();
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        paths.sort();
        Ok(paths)
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
    pub(super) fn lock(&self) -> anyhow::Result<Option<Flock<std::fs::File>>> {
        let path = self.folder.join("sender.lock");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
    }
}
