//! The engine's own cgroup: what all its containers and builds may use together. BuildKit ignores a
//! build's own limits and honours the parent's (measured), so here is where RUN is bounded. Below it
//! lies one cgroup a pod.

use super::{Config, EngineHostError, file_error};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";
/// The period over which CPU time is counted.
const CPU_PERIOD_US: u64 = 100_000;
/// What a kernel may not have: always hierarchical (newer ones), or no accounting of swap.
const NOT_EVERYWHERE: [&str; 3] = [
    "memory.use_hierarchy",
    "memory.swap.max",
    "memory.memsw.limit_in_bytes",
];

/// What the processes of one cgroup may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) memory_bytes: u64,
    pub(super) cpu_milli: u64,
    pub(super) pids: u64,
}

/// How this host keeps its cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hierarchy {
    /// One folder a controller.
    V1,
    /// One folder for all.
    V2,
}

/// Makes the engine's cgroup.
pub(super) fn make(config: &Config) -> Result<(), EngineHostError> {
    let limits = Limits {
        memory_bytes: config.memory_bytes,
        cpu_milli: config.cpu_milli,
        pids: config.pids,
    };
    apply(config.cgroup.as_str(), limits)
}

/// Makes a cgroup below the engine's, or gives it other limits; its path below the root.
pub(super) fn make_below(
    config: &Config,
    name: &str,
    limits: Limits,
) -> Result<String, EngineHostError> {
    let cgroup = format!("{}/{name}", config.cgroup);
    apply(&cgroup, limits)?;
    Ok(format!("/{cgroup}"))
}

/// Removes the engine's cgroup with everything below it; its processes have ended before.
pub(super) fn remove(config: &Config) {
    remove_all(config.cgroup.as_str());
}

/// Removes a cgroup below the engine's; one that still has processes stays.
pub(super) fn remove_below(config: &Config, name: &str) {
    remove_all(&format!("{}/{name}", config.cgroup));
}

/// Ends every process in a cgroup below the engine's and further down; how many there were.
pub(super) fn kill_below(config: &Config, name: &str) -> usize {
    let mut processes = BTreeSet::new();
    for folder in folders(&format!("{}/{name}", config.cgroup)) {
        processes_in(&folder, &mut processes);
    }
    for process in &processes {
        if let Err(error) = kill(Pid::from_raw(*process), Signal::SIGKILL)
            && error != Errno::ESRCH
        {
            tracing::warn!(process, %error, "a process could not be ended");
        }
    }
    processes.len()
}

fn processes_in(folder: &Path, found: &mut BTreeSet<i32>) {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            processes_in(&entry.path(), found);
        }
    }
}

/// The names of the cgroups directly below the engine's.
pub(super) fn below(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = folders(config.cgroup.as_str())
        .iter()
        .flat_map(std::fs::read_dir)
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn apply(cgroup: &str, limits: Limits) -> Result<(), EngineHostError> {
    for (folder, file, value) in settings(hierarchy(), cgroup, limits) {
        std::fs::create_dir_all(&folder).map_err(file_error("make cgroup", &folder))?;
        let path = folder.join(file);
        if NOT_EVERYWHERE.contains(&file) && !path.exists() {
            continue;
        }
        std::fs::write(&path, value).map_err(file_error("set limit", &path))?;
    }
    Ok(())
}

fn hierarchy() -> Hierarchy {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        Hierarchy::V2
    } else {
        Hierarchy::V1
    }
}

/// What is written where, in this order, so that the cgroup has these limits.
fn settings(
    hierarchy: Hierarchy,
    cgroup: &str,
    limits: Limits,
) -> Vec<(PathBuf, &'static str, String)> {
    let memory = limits.memory_bytes.to_string();
    let pids = limits.pids.to_string();
    let quota = limits.cpu_milli * CPU_PERIOD_US / 1_000;
    match hierarchy {
        Hierarchy::V1 => {
            let at = |controller: &str| Path::new(ROOT).join(controller).join(cgroup);
            vec![
                (at("memory"), "memory.use_hierarchy", "1".to_owned()),
                (at("memory"), "memory.limit_in_bytes", memory.clone()),
                (at("memory"), "memory.memsw.limit_in_bytes", memory),
                (at("pids"), "pids.max", pids),
                (at("cpu"), "cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
                (at("cpu"), "cpu.cfs_quota_us", quota.to_string()),
            ]
        }
        Hierarchy::V2 => {
            // A cgroup has the files of a controller only when the one above it hands it down.
            let mut above = PathBuf::from(ROOT);
            let mut all = Vec::new();
            for part in cgroup.split('/') {
                let down = "+cpu +memory +pids".to_owned();
                all.push((above.clone(), "cgroup.subtree_control", down));
                above.push(part);
            }
            all.extend([
                (above.clone(), "memory.max", memory),
                (above.clone(), "memory.swap.max", "0".to_owned()),
                (above.clone(), "pids.max", pids),
                (above, "cpu.max", format!("{quota} {CPU_PERIOD_US}")),
            ]);
            all
        }
    }
}

/// Everywhere that we or the engine may have made this cgroup: the engine uses controllers that we do
/// not.
fn folders(cgroup: &str) -> Vec<PathBuf> {
    match hierarchy() {
        Hierarchy::V2 => vec![Path::new(ROOT).join(cgroup)],
        Hierarchy::V1 => std::fs::read_dir(ROOT)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join(cgroup))
            .filter(|path| path.is_dir())
            .collect(),
    }
}

fn remove_all(cgroup: &str) {
    for folder in folders(cgroup) {
        remove_tree(&folder);
    }
}

fn remove_tree(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    match std::fs::remove_dir(folder) {
        Ok(()) => {}
        // `cpu` and `cpuacct` are names of one folder on many hosts.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(cgroup = %folder.display(), %error, "a cgroup could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory_bytes: 1 << 30,
        cpu_milli: 1500,
        pids: 64,
    };

    fn lines(hierarchy: Hierarchy) -> Vec<String> {
        settings(hierarchy, "engine/pod-1", LIMITS)
            .iter()
            .map(|(folder, file, value)| format!("{}/{file} {value}", folder.display()))
            .collect()
    }

    #[test]
    fn a_cgroup_gets_its_limits_in_both_hierarchies() {
        assert_eq!(
            lines(Hierarchy::V2),
            [
                "/sys/fs/cgroup/cgroup.subtree_control +cpu +memory +pids",
                "/sys/fs/cgroup/engine/cgroup.subtree_control +cpu +memory +pids",
                "/sys/fs/cgroup/engine/pod-1/memory.max 1073741824",
                "/sys/fs/cgroup/engine/pod-1/memory.swap.max 0",
                "/sys/fs/cgroup/engine/pod-1/pids.max 64",
                "/sys/fs/cgroup/engine/pod-1/cpu.max 150000 100000",
            ]
        );
        assert_eq!(
            lines(Hierarchy::V1)[3..],
            [
                "/sys/fs/cgroup/pids/engine/pod-1/pids.max 64",
                "/sys/fs/cgroup/cpu/engine/pod-1/cpu.cfs_period_us 100000",
                "/sys/fs/cgroup/cpu/engine/pod-1/cpu.cfs_quota_us 150000",
            ]
        );
    }

    #[test]
    #[ignore = "needs root, who makes cgroups"]
    fn all_that_runs_in_a_cgroup_is_ended_and_nothing_beside_it() {
        use std::os::unix::process::ExitStatusExt as _;
        let text = "cgroup = \"sallyport-kill-test\"\ndata-dir = \"/d\"\nrun-dir = \"/r\"\ngroup = 0\nregistries = []\n";
        let config: Config = toml::from_str(text).unwrap();
        make(&config).unwrap();
        let mut sleepers = Vec::new();
        for pod in ["pod-a-0", "pod-a-1"] {
            make_below(&config, pod, LIMITS).unwrap();
            // The engine gives each container a cgroup of its own in its pod's.
            make_below(&config, &format!("{pod}/container"), LIMITS).unwrap();
            let sleeper = std::process::Command::new("sleep")
                .arg("60")
                .spawn()
                .unwrap();
            for folder in folders(&format!("{}/{pod}/container", config.cgroup)) {
                std::fs::write(folder.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
            }
            sleepers.push(sleeper);
        }
        assert_eq!(kill_below(&config, "pod-a-0"), 1);
        let ended = sleepers[0].wait().unwrap();
        assert_eq!(ended.signal(), Some(9));
        assert!(
            sleepers[1].try_wait().unwrap().is_none(),
            "another pod's goes on"
        );
        sleepers[1].kill().unwrap();
        sleepers[1].wait().unwrap();
        remove(&config);
        assert!(folders(config.cgroup.as_str()).is_empty());
    }
}
