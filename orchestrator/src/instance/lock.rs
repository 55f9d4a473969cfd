//! One process a data folder: the lock goes with the process, however it ends.

use super::state::InstanceError;
use nix::fcntl::{Flock, FlockArg};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Held while the data folder is worked with.
pub struct Lock(#[expect(dead_code, reason = "held, never read")] Flock<std::fs::File>);

impl Lock {
    /// Takes the lock of a data folder, or says that another process holds it. A folder that other users
    /// can look into is refused: keys, the database and the admin socket lie in it.
    pub fn take(data_dir: &Path) -> Result<Self, InstanceError> {
        let metadata = std::fs::metadata(data_dir).map_err(|source| InstanceError::File {
            what: "look at",
            path: data_dir.to_owned(),
            source,
        })?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(InstanceError::Open {
                path: data_dir.to_owned(),
                mode,
            });
        }
        let path = data_dir.join("instance.lock");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| InstanceError::File {
                what: "open",
                path: path.clone(),
                source,
            })?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map(Self)
            .map_err(|_| InstanceError::Locked(data_dir.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_processs_and_one_users() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
        };
        for open in [0o755, 0o701, 0o740] {
            mode(open);
            let refused = Lock::take(folder.path()).map(drop).unwrap_err().to_string();
            assert!(refused.contains("chmod 700"), "{refused}");
        }
        mode(0o700);
        let held = Lock::take(folder.path()).unwrap();
        let second = Lock::take(folder.path()).map(drop);
        assert!(
            matches!(second, Err(InstanceError::Locked(_))),
            "{second:?}"
        );
        drop(held);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
