//! One engine a data folder: the inside holds the lock as long as it lives, also when the outside was
//! killed and the engine is still ending its containers.

use super::{Config, EngineHostError, file_error};
use nix::fcntl::{Flock, FlockArg};
use std::time::Duration;

/// An engine that was told to stop is gone by then, or the kernel has ended it.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Locks of programs of this host.
const LOCKS: &str = "/run/lock";

/// One engine a control group: two would take away each other's limits.
pub(super) fn take_cgroup(config: &Config) -> Result<Flock<std::fs::File>, EngineHostError> {
    let folder = std::path::Path::new(LOCKS);
    std::fs::create_dir_all(folder).map_err(file_error("make", folder))?;
    let path = folder.join(format!("sallyport-engine-{}.lock", config.cgroup));
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(file_error("open", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        EngineHostError::Refused(format!(
            "another engine has the control group {}: give this one another name ([engine-host] cgroup)",
            config.cgroup
        ))
    })
}

/// Waits for a predecessor to end and takes its place.
pub(super) fn take(config: &Config) -> Result<Flock<std::fs::File>, EngineHostError> {
    let path = config.data_dir.join("engine.lock");
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(file_error("open", &path))?;
    for _ in 0..(PATIENCE.as_millis() / LOOK.as_millis()) {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, _)) => file = back,
        }
        std::thread::sleep(LOOK);
    }
    let shown = config.data_dir.display();
    Err(EngineHostError::Refused(format!(
        "another engine works with {shown}"
    )))
}
