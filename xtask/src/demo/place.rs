//! Where the demo keeps things, and who its programs are.

use crate::program::is_root;
use anyhow::{Context as _, Result};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The accounts of the demo's programs when root starts it: numbers of our own that no account database knows,
/// far above those that Debian gives out and below those of user namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Account {
    Registry,
    Server,
    Signer,
    Worker,
    Developer,
}

impl Account {
    /// Every account's number.
    pub(crate) fn ids() -> [u32; 5] {
        [
            Self::Registry.id(),
            Self::Server.id(),
            Self::Signer.id(),
            Self::Worker.id(),
            Self::Developer.id(),
        ]
    }

    /// The user and group number.
    pub(crate) const fn id(self) -> u32 {
        match self {
            Self::Registry => 59_401,
            Self::Server => 59_402,
            Self::Signer => 59_403,
            Self::Worker => 59_404,
            Self::Developer => 59_405,
        }
    }
}

/// The one folder that outlives a demo: images, wheels, the engine's data, ledgers of demos.
/// As root it lies in /var/cache, because programs with other accounts must be able to walk there.
pub(crate) fn kept() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SALLYPORT_DEMO_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    if is_root() {
        return Ok(PathBuf::from("/var/cache/sallyport-demo"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let caches = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
    Ok(caches.join("sallyport-demo"))
}

/// The folder of one run.
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// The folder of the run with this name; it is made by [`Place::make`].
    pub(crate) fn of(name: &str) -> Self {
        Self {
            root: std::env::temp_dir().join(format!("sallyport-{name}")),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the run's folder, which everybody may walk through and nobody may list.
    pub(crate) fn make(&self) -> Result<()> {
        std::fs::create_dir(&self.root).with_context(|| format!("make {}", self.root.display()))?;
        std::fs::set_permissions(&self.root, PermissionsExt::from_mode(0o711))?;
        Ok(())
    }

    /// A folder that only one account may read.
    pub(crate) fn private(&self, name: &str, owner: Account) -> Result<PathBuf> {
        self.folder(name, Some(owner), 0o700)
    }

    /// A folder with an owner (when root can give one) and a mode.
    pub(crate) fn folder(&self, name: &str, owner: Option<Account>, mode: u32) -> Result<PathBuf> {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        if let Some(owner) = owner {
            give(&path, owner)?;
        }
        Ok(path)
    }

    /// A file that only one account may read.
    pub(crate) fn file(&self, path: &Path, owner: Account, text: &str) -> Result<()> {
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
        give(path, owner)
    }
}

/// Gives a path to an account, when this process may.
pub(crate) fn give(path: &Path, owner: Account) -> Result<()> {
    if is_root() {
        chown(path, Some(owner.id()), Some(owner.id()))
            .with_context(|| format!("give {} away", path.display()))?;
    }
    Ok(())
}
