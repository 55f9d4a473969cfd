//! Outside: prepares, starts the inside in namespaces of its own, relays, cleans up.

use super::{Config, EngineHostError, cgroup, file_error, lock, pods, relay};
use crate::engine::{self, Engine, EngineError};
use crate::step::chain;
use contract::configuration::Place;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// dockerd ends its containers within 10 s; after this the kernel ends everything.
const STOP: Duration = Duration::from_secs(25);
/// To remove all containers may take so long.
const LEAVE: Duration = Duration::from_secs(10);
/// How often it is looked whether the inside still lives.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the engine until it is told to stop, or until it ends by itself, which is an error.
pub async fn run(config: &Config, place: &Place) -> Result<(), EngineHostError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(EngineHostError::Refused(
            "the engine's process needs root: it makes namespaces (the agent does not)".to_owned(),
        ));
    }
    let _own_cgroup = lock::take_cgroup(config)?;
    prepare(config)?;
    relay::outside(config)?;
    pods::serve(config)?;
    let mut inside = start_inside(place)?;
    let (mut term, mut int) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    let ended = loop {
        tokio::select! {
            _ = term.recv() => break None,
            _ = int.recv() => break None,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Ok(Some(status)) = inside.try_wait() {
            break Some(status);
        }
    };
    if ended.is_none() {
        tracing::info!("stopping the engine");
        leave_none(config).await;
        stop(&mut inside).await;
    }
    clean(config);
    match ended {
        None => Ok(()),
        Some(status) => Err(EngineHostError::Refused(format!(
            "the engine ended by itself: {status}"
        ))),
    }
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, EngineHostError> {
    signal(kind).map_err(|e| EngineHostError::Refused(format!("listen for signals: {e}")))
}

/// What a killed predecessor left are only folders and the cgroup: its processes, mounts and
/// interfaces went with their namespaces.
fn prepare(config: &Config) -> Result<(), EngineHostError> {
    for (folder, mode) in [(&config.data_dir, 0o711), (&config.run_dir, 0o750)] {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(folder)
            .map_err(file_error("make", folder))?;
    }
    let _predecessor_gone = lock::take(config)?;
    clean(config);
    // The agent reaches the socket in it.
    chown(&config.run_dir, None, Some(config.group))
        .map_err(file_error("chown", &config.run_dir))?;
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&config.run_dir, mode)
        .map_err(file_error("chmod", &config.run_dir))?;
    let empty = config.run_dir.join("daemon.json");
    std::fs::write(&empty, "{}").map_err(file_error("write", &empty))?;
    cgroup::make(config)
}

fn clean(config: &Config) {
    cgroup::remove(config);
    for entry in std::fs::read_dir(&config.run_dir)
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "not cleaned up");
        }
    }
}

/// The inside lives as long as its standard input is open, so it also ends when this process is
/// killed.
fn start_inside(place: &Place) -> Result<Child, EngineHostError> {
    let own = std::env::current_exe().map_err(file_error("find", Path::new("this program")))?;
    let outer = std::fs::read_link("/proc/self/ns/net")
        .map_err(file_error("read", Path::new("/proc/self/ns/net")))?;
    Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
        ])
        .args(["--propagation", "private", "--"])
        .arg(own)
        .arg("engine-inside")
        .arg("--config")
        .arg(&place.path)
        .args(place.set.iter().flat_map(|set| ["--set", set]))
        .arg("--outer-network")
        .arg(outer)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|source| EngineHostError::Program {
            program: "unshare",
            source,
            hint: " (Debian: util-linux)",
        })
}

/// Removes every container: an engine that ends stops them anyway, and one that starts again would
/// remember them.
async fn leave_none(config: &Config) {
    let removed = async {
        let engine = Engine::connect(&engine::Config::at(config.socket()), "", "engine").await?;
        while engine.remove_everything().await? > 0 {}
        Ok::<_, EngineError>(())
    };
    match tokio::time::timeout(LEAVE, removed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                error = chain(&error),
                "the engine's containers were not removed"
            );
        }
        Err(_) => tracing::warn!("the engine's containers were not removed in time"),
    }
}

async fn stop(inside: &mut Child) {
    // End of input is the request to stop.
    drop(inside.stdin.take());
    for _ in 0..(STOP.as_millis() / LOOK.as_millis()) {
        if matches!(inside.try_wait(), Ok(Some(_))) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    tracing::warn!("the engine did not stop in time and is killed");
    let _killed = inside.kill();
    let _waited = inside.wait();
}
