//! The engine's own cgroup: what all its containers and builds may use together. BuildKit ignores a
//! build's own limits and honours the parent's (measured), so here is where RUN is bounded.

use super::{Config, EngineHostError, file_error};
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";
/// cgroup v1: the period over which CPU time is counted.
const CPU_PERIOD_US: u64 = 100_000;

/// Makes the cgroup with its limits.
pub(super) fn make(config: &Config) -> Result<(), EngineHostError> {
    for (folder, file, value) in limits(config) {
        std::fs::create_dir_all(&folder).map_err(file_error("make cgroup", &folder))?;
        let path = folder.join(file);
        std::fs::write(&path, value).map_err(file_error("set limit", &path))?;
    }
    Ok(())
}

/// Removes the cgroup; its processes have ended before.
pub(super) fn remove(config: &Config) {
    for folder in folders(config) {
        remove_tree(&folder);
    }
}

fn is_v2() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

fn limits(config: &Config) -> Vec<(PathBuf, &'static str, String)> {
    let name = config.cgroup.as_str();
    let quota = config.cpu_milli * CPU_PERIOD_US / 1_000;
    if is_v2() {
        let own = Path::new(ROOT).join(name);
        return vec![
            (own.clone(), "memory.max", config.memory_bytes.to_string()),
            (own.clone(), "memory.swap.max", "0".to_owned()),
            (own.clone(), "pids.max", config.pids.to_string()),
            (own, "cpu.max", format!("{quota} {CPU_PERIOD_US}")),
        ];
    }
    let v1 = |controller: &str| Path::new(ROOT).join(controller).join(name);
    vec![
        (v1("memory"), "memory.use_hierarchy", "1".to_owned()),
        (
            v1("memory"),
            "memory.limit_in_bytes",
            config.memory_bytes.to_string(),
        ),
        (v1("pids"), "pids.max", config.pids.to_string()),
        (v1("cpu"), "cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
        (v1("cpu"), "cpu.cfs_quota_us", quota.to_string()),
    ]
    .into_iter()
    // Newer kernels always count hierarchically and have no such file.
    .filter(|(folder, file, _)| {
        *file != "memory.use_hierarchy" || folder.parent().is_some_and(|p| p.join(file).exists())
    })
    .collect()
}

/// Everywhere that the engine may have made folders below our name.
fn folders(config: &Config) -> Vec<PathBuf> {
    let name = config.cgroup.as_str();
    if is_v2() {
        return vec![Path::new(ROOT).join(name)];
    }
    let controllers = std::fs::read_dir(ROOT).into_iter().flatten().flatten();
    controllers
        .map(|entry| entry.path().join(name))
        .filter(|path| path.is_dir())
        .collect()
}

fn remove_tree(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    if let Err(error) = std::fs::remove_dir(folder) {
        tracing::warn!(cgroup = %folder.display(), %error, "a cgroup could not be removed");
    }
}
