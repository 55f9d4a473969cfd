//! A folder that is held open. The repository's owner may rename and link at any moment while root works
//! in it: every name is looked up in the folder that is held, and no link is followed.

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A hook or a receiver is a few lines; what is longer is something else.
const READ_BYTES_MAX: u64 = 1 << 20;

/// A folder in the hand; what is made in it belongs to its owner.
pub(super) struct Held {
    folder: File,
    /// For words.
    path: PathBuf,
}

impl Held {
    /// Takes a folder.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(path);
        let folder = folder.with_context(|| format!("open {}", path.display()))?;
        let path = path.to_owned();
        Ok(Self { folder, path })
    }

    /// Takes a folder in it, which is made when it is not there.
    pub(super) fn folder(&self, name: &str, mode: u32) -> anyhow::Result<Self> {
        let path = self.path.join(name);
        let made = mkdirat(&self.folder, name, Mode::from_bits_truncate(mode));
        if let Err(error) = made
            && error != Errno::EEXIST
        {
            return Err(error).with_context(|| format!("make {}", path.display()));
        }
        let folder = self.look(name, OFlag::O_DIRECTORY)?;
        let folder = folder.with_context(|| format!("{} is gone again", path.display()))?;
        let held = Self { folder, path };
        if made.is_ok() {
            held.give_to_owner_of(self)?;
        }
        Ok(held)
    }

    /// The text of a file in it; none when there is no such file.
    pub(super) fn read(&self, name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
        // A pipe would wait for a writer.
        let Some(file) = self.look(name, OFlag::O_NONBLOCK)? else {
            return Ok(None);
        };
        let path = self.path.join(name);
        if !file.metadata()?.is_file() {
            bail!("{} is not a file", path.display());
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(READ_BYTES_MAX)
            .read_to_end(&mut bytes)
            .with_context(|| format!("read {}", path.display()))?;
        Ok(Some(Zeroizing::new(
            String::from_utf8_lossy(&bytes).into_owned(),
        )))
    }

    /// Whether there is a folder or file of this name in it.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.look(name, OFlag::O_NONBLOCK), Ok(Some(_)))
    }

    /// Writes a file whole, durably, in the place of the one before.
    pub(super) fn replace(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let beside = format!("{name}.new");
        let path = self.path.join(name);
        let write = || -> anyhow::Result<()> {
            let _gone = unlinkat(&self.folder, &*beside, UnlinkatFlags::NoRemoveDir);
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let file = openat(&self.folder, &*beside, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
            let mut file = File::from(file);
            file.write_all(text.as_bytes())?;
            file.set_permissions(Permissions::from_mode(mode))?;
            own(&file, &self.folder)?;
            file.sync_all()?;
            renameat(&self.folder, &*beside, &self.folder, name)?;
            self.folder.sync_all()?;
            Ok(())
        };
        write().with_context(|| format!("write {}", path.display()))
    }

    /// Gives the folder to whoever the one above it belongs to.
    pub(super) fn give_to_owner_of(&self, above: &Self) -> anyhow::Result<()> {
        own(&self.folder, &above.folder).with_context(|| format!("chown {}", self.path.display()))
    }

    fn look(&self, name: &str, flags: OFlag) -> anyhow::Result<Option<File>> {
        let path = self.path.join(name);
        let flags = flags | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::ENOENT) => Ok(None),
            // A link that leads to a folder is no folder for the kernel.
            Err(Errno::ELOOP | Errno::ENOTDIR) => bail!(
                "{} is a link or no folder: no link is followed here, what it leads to may be another's",
                path.display()
            ),
            Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
        }
    }
}

/// Gives something to the owner of the folder that it lies in; only root can, for everybody else it is so.
fn own(thing: &File, folder: &File) -> std::io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let owner = folder.metadata()?;
    fchown(thing, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_whatever_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("elsewhere")).unwrap();
        std::fs::write(at("secret"), "x").unwrap();
        std::fs::create_dir(at("repository")).unwrap();
        symlink("../elsewhere", at("repository/folder")).unwrap();
        symlink("../secret", at("repository/file")).unwrap();
        symlink("../nothing", at("repository/dangling")).unwrap();
        symlink("repository", at("link")).unwrap();
        let held = Held::open(&at("repository")).unwrap();
        assert!(Held::open(&at("link")).is_err());
        assert!(held.folder("folder", 0o700).is_err());
        assert!(held.folder("dangling", 0o700).is_err());
        assert!(held.read("file").is_err() && held.read("dangling").is_err());
        assert!(held.read("none").unwrap().is_none());
        // Writing takes the place of the link and leaves alone what it leads to.
        for name in ["file", "dangling"] {
            held.replace(name, "y", 0o600).unwrap();
            assert_eq!(held.read(name).unwrap().unwrap().as_str(), "y");
        }
        assert_eq!(std::fs::read_to_string(at("secret")).unwrap(), "x");
        assert!(!at("nothing").exists());
        // What is renamed after it was taken stays the one that is held.
        std::fs::rename(at("repository"), at("moved")).unwrap();
        symlink("elsewhere", at("repository")).unwrap();
        held.replace("late", "z", 0o600).unwrap();
        assert!(at("moved/late").exists() && !at("elsewhere/late").exists());
    }
}
