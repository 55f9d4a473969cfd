//! `cargo demo --clean`: takes away what killed demos left, by their ledgers.

use super::elevate;
use super::ledger::{Entry, Ledger, Process};
use crate::images::scratch_prefix;
use crate::program::{self, MARK};
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long what was asked to end may take.
const END: Duration = Duration::from_secs(15);
/// How long removing a control group may take after its last process died.
const GROUPS: Duration = Duration::from_secs(10);

/// Takes away everything of demos whose own process is gone.
pub(crate) fn clean(kept: &Path) -> Result<()> {
    let ledgers = Ledger::all(kept)?;
    if ledgers.is_empty() {
        println!("Nothing to clean: no demo was left on this machine.");
    }
    for ledger in ledgers {
        if ledger.entry.owner.lives() {
            println!(
                "{} still runs (process {}); left alone.",
                ledger.entry.name, ledger.entry.owner.pid
            );
            continue;
        }
        println!("Cleaning up after {}", ledger.entry.name);
        sweep(&ledger.entry)?;
        ledger.close()?;
    }
    Ok(())
}

/// Ends and removes everything of one demo. Safe to repeat, and in any state.
pub(crate) fn sweep(entry: &Entry) -> Result<()> {
    end_processes(entry)?;
    end_group(&entry.cgroup)?;
    let mut folders = scratch(entry);
    folders.push(entry.folder.clone());
    unmount_below(&folders)?;
    unmount_below(std::slice::from_ref(&entry.engine_data))?;
    if program::succeeds("ip", ["netns", "pids", &entry.namespace]) {
        program::quiet(Command::new("ip").args(["netns", "delete", &entry.namespace]))?;
    }
    if Path::new("/sys/class/net").join(&entry.bridge).exists() {
        program::quiet(Command::new("ip").args(["link", "delete", &entry.bridge]))?;
    }
    for folder in folders.iter().filter(|folder| folder.exists()) {
        remove(folder)?;
    }
    Ok(())
}

/// What the engine left in a plain user's folder belongs to root and to the engine's own numbers.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !program::is_root() => {
            program::quiet(
                elevate::sudo()
                    .args([
                        "--",
                        "rm",
                        "--recursive",
                        "--force",
                        "--one-file-system",
                        "--",
                    ])
                    .arg(folder),
            )
            .map(drop)
        }
        removed => removed.with_context(|| format!("remove {}", folder.display())),
    }
}

/// Root file systems that the demo had begun, in the kept folder.
fn scratch(entry: &Entry) -> Vec<PathBuf> {
    let prefix = scratch_prefix(entry.owner.pid);
    let kept = entry.engine_data.parent().unwrap_or(&entry.engine_data);
    std::fs::read_dir(kept)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|found| found.file_name().to_string_lossy().starts_with(&prefix))
        .map(|found| found.path())
        .collect()
}

/// Ends the programs of the ledger with a word, then what carries the demo's mark: with a word, then without. The
/// engine's own processes carry it, and it ends them itself when its containers are gone.
fn end_processes(entry: &Entry) -> Result<()> {
    let mut seen: Vec<Process> = entry
        .processes
        .iter()
        .map(|(_, process)| *process)
        .collect();
    for (everything, signal) in [
        (false, Signal::SIGTERM),
        (true, Signal::SIGTERM),
        (true, Signal::SIGKILL),
    ] {
        if everything {
            seen.extend(marked(&entry.name)?);
        }
        seen.retain(|process| process.lives());
        for process in &seen {
            kill(Pid::from_raw(process.pid), signal).ok();
        }
        let deadline = Instant::now() + END;
        while seen.iter().any(|process| process.lives()) && Instant::now() < deadline {
            std::thread::sleep(super::program::LOOK);
        }
    }
    match seen.iter().find(|process| process.lives()) {
        Some(process) => bail!("process {} does not end", process.pid),
        None => Ok(()),
    }
}

/// Every process with the demo's mark in its environment.
fn marked(name: &str) -> Result<Vec<Process>> {
    let own = i32::try_from(std::process::id()).context("a process number")?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list processes")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        if pid != own && mark_of(pid).is_some_and(|mark| mark == name) {
            found.extend(Process::of(pid));
        }
    }
    Ok(found)
}

/// The mark that a process carries.
pub(crate) fn mark_of(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = format!("{MARK}=");
    environment
        .split(|byte| *byte == 0)
        .find_map(|word| word.strip_prefix(mark.as_bytes()))
        .map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Ends every process in a control group (containers carry no mark) and removes the group in every hierarchy.
fn end_group(name: &str) -> Result<()> {
    let deadline = Instant::now() + GROUPS;
    loop {
        let groups = groups(name);
        if groups.is_empty() {
            return Ok(());
        }
        for group in &groups {
            let members = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            for pid in members.lines().filter_map(|line| line.parse::<i32>().ok()) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
            // The kernel refuses while somebody is still inside; the next turn tries again.
            std::fs::remove_dir(group).ok();
        }
        if Instant::now() > deadline {
            bail!("control group {} cannot be removed", groups[0].display());
        }
        std::thread::sleep(super::program::LOOK);
    }
}

/// The group and all below it in every hierarchy, the deepest first.
pub(crate) fn groups(name: &str) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup").join(name)];
    if let Ok(hierarchies) = std::fs::read_dir("/sys/fs/cgroup") {
        roots.extend(hierarchies.flatten().map(|entry| entry.path().join(name)));
    }
    let mut found = Vec::new();
    while let Some(folder) = roots.pop() {
        if !folder.is_dir() || found.contains(&folder) {
            continue;
        }
        let below = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        roots.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
        found.push(folder);
    }
    found.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    found
}

/// Unmounts everything below some folders, the latest mount first.
fn unmount_below(folders: &[PathBuf]) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("list mounts")?;
    for line in mounts.lines().rev() {
        let Some(point) = line.split_whitespace().nth(4) else {
            continue;
        };
        if folders
            .iter()
            .any(|folder| Path::new(point).starts_with(folder))
        {
            nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH)
                .with_context(|| format!("unmount {point}"))?;
        }
    }
    Ok(())
}
