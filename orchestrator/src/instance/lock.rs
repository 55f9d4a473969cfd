//! One process a data folder: the lock goes with the process, however it ends.

use super::state::InstanceError;
use nix::fcntl::{Flock, FlockArg};
use std::path::Path;

/// Held while the data folder is worked with.
pub struct Lock(#[expect(dead_code, reason = "held, never read")] Flock<std::fs::File>);

impl Lock {
    /// Takes the lock of a data folder, or says that another process holds it.
    pub fn take(data_dir: &Path) -> Result<Self, InstanceError> {
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
