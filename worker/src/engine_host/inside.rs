//! Inside: the first process of the engine's namespaces. It hides the host's containerd, brings loopback
//! up, listens for the relay, starts dockerd, reaps what is orphaned, and ends dockerd when its input ends.

use super::{Config, EngineHostError, lock, relay};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where a containerd of the host listens; dockerd would use it rather than start its own. The shims of
/// any containerd keep their sockets here as well.
const CONTAINERD_STATE: &str = "/run/containerd";
/// dockerd ends its containers within 10 s; one that is not gone by then hangs.
const DOCKERD_STOP: Duration = Duration::from_secs(18);

/// Runs until dockerd ends; then the kernel ends everything else in the namespaces.
pub fn run(config: &Config, outer_network: &Path) -> Result<(), EngineHostError> {
    apart(outer_network)?;
    let _lock = lock::take(config)?;
    hide_containerd(Path::new(CONTAINERD_STATE))?;
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .stdin(Stdio::null())
        .status();
    match up {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(EngineHostError::Refused(format!(
                "ip link set lo up: {status}"
            )));
        }
        Err(source) => {
            let hint = " (Debian: iproute2)";
            return Err(EngineHostError::Program {
                program: "ip",
                source,
                hint,
            });
        }
    }
    relay::inside(config)?;
    let dockerd = start(config)?;
    end_with_input(dockerd);
    reap_until(dockerd)
}

/// `--bridge none` in the host's namespace deletes the host's docker0: so first it is made sure that
/// this is not the host's.
fn apart(outer_network: &Path) -> Result<(), EngineHostError> {
    let own = std::fs::read_link("/proc/self/ns/net")
        .map_err(super::file_error("read", Path::new("/proc/self/ns/net")))?;
    if own == outer_network || std::process::id() != 1 {
        return Err(EngineHostError::Refused(
            "not in namespaces of its own: `engine-inside` is started by `engine` only".to_owned(),
        ));
    }
    Ok(())
}

/// An empty file system over the folder, in these mounts only: dockerd finds no containerd and starts one
/// of its own below its exec-root, and no socket of a shim is left on the host.
fn hide_containerd(folder: &Path) -> Result<(), EngineHostError> {
    std::fs::create_dir_all(folder).map_err(super::file_error("make", folder))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        flags,
        Some("mode=0711"),
    )
    .map_err(|errno| super::file_error("hide", folder)(errno.into()))
}

fn start(config: &Config) -> Result<Pid, EngineHostError> {
    let run = |name: &str| config.run_dir.join(name);
    let mut command = Command::new("dockerd");
    command
        .arg("--config-file")
        .arg(run("daemon.json"))
        .arg("--data-root")
        .arg(&config.data_dir)
        .arg("--exec-root")
        .arg(run("exec"))
        .arg("--pidfile")
        .arg(run("docker.pid"))
        .arg("--host")
        .arg(format!("unix://{}", config.socket().display()))
        .arg("--group")
        .arg(config.group.to_string())
        .args(["--userns-remap", "default", "--bridge", "none"])
        .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
        // On a cgroup v2 host with systemd it would ask systemd for scopes, and the parent be no folder.
        .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
        .arg("--cgroup-parent")
        .arg(format!("/{}", config.cgroup))
        // Steps that are worth waiting for have ended before: the agent stops first.
        .args(["--shutdown-timeout", "3", "--log-level", "error"])
        .stdin(Stdio::null());
    let driver = config
        .storage_driver
        .as_deref()
        .or_else(|| storage_driver());
    if let Some(driver) = driver {
        command.args(["--storage-driver", driver]);
    }
    let child = command.spawn().map_err(|source| EngineHostError::Program {
        program: "dockerd",
        source,
        hint: " (Debian: docker.io)",
    })?;
    // Waited for by `reap_until`, which waits for every process here.
    let pid = i32::try_from(child.id())
        .map_err(|_| EngineHostError::Refused("a pid that is none".to_owned()))?;
    Ok(Pid::from_raw(pid))
}

/// overlay2 needs a file system below that takes trusted attributes; where the host's own engine had
/// to use fuse-overlayfs, so has this one. Otherwise dockerd finds out by itself.
fn storage_driver() -> Option<&'static str> {
    let on_overlay = std::fs::read_to_string("/proc/mounts").is_ok_and(|mounts| {
        mounts.lines().any(|line| {
            let mut words = line.split(' ').skip(1);
            words.next() == Some("/") && words.next().is_some_and(|kind| kind.contains("overlay"))
        })
    });
    let has_overlay = std::fs::read_to_string("/proc/filesystems").is_ok_and(|all| {
        all.lines()
            .any(|line| line.trim_start_matches("nodev").trim() == "overlay")
    });
    let has_fuse = ["/usr/bin/fuse-overlayfs", "/usr/local/bin/fuse-overlayfs"]
        .iter()
        .any(|path| Path::new(path).exists());
    ((on_overlay || !has_overlay) && has_fuse).then_some("fuse-overlayfs")
}

/// The outside closes our input to stop us, and so does its death. When dockerd does not end, we do, and
/// with us everything in the namespaces: the reaper below sees its end.
fn end_with_input(dockerd: Pid) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut input = std::io::stdin().lock();
        while matches!(input.read(&mut buffer), Ok(1..)) {}
        // It may have ended already.
        let _sent = kill(dockerd, Signal::SIGTERM);
        std::thread::sleep(DOCKERD_STOP);
        let _sent = kill(dockerd, Signal::SIGKILL);
    });
}

fn reap_until(dockerd: Pid) -> Result<(), EngineHostError> {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == dockerd => {
                return match code {
                    0 => Ok(()),
                    code => Err(EngineHostError::Refused(format!(
                        "dockerd ended with {code}"
                    ))),
                };
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == dockerd => {
                return Err(EngineHostError::Refused(format!(
                    "dockerd was ended by {signal}"
                )));
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(EngineHostError::Refused(format!("wait: {error}"))),
        }
    }
}
