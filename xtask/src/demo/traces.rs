//! What a demo could leave on a machine, looked for before it begins and after it has ended.

use super::clean::{groups, mark_of};
use super::ledger::{Entry, Process};
use super::place::Account;
use crate::program::is_root;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Every kind of namespace that containers and the engine make.
const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// Everything on the machine that is a demo's: each in one line that a person understands.
pub(crate) struct Traces(BTreeSet<String>);

impl Traces {
    /// What there is now of this demo, and of its accounts and the engine's data whoever left it there.
    pub(crate) fn of(entry: &Entry) -> Result<Self> {
        let mut found = BTreeSet::new();
        for process in processes(entry)? {
            found.insert(format!(
                "process {} ({})",
                process.pid,
                name_of(process.pid)
            ));
        }
        for group in groups(&entry.cgroup) {
            found.insert(format!("control group {}", group.display()));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("list mounts")?;
        let named = [
            entry.folder.display().to_string(),
            entry.engine_data.display().to_string(),
            entry.namespace.clone(),
        ];
        let ours = mounts
            .lines()
            .filter(|mount| named.iter().any(|name| mount.contains(name)));
        found.extend(ours.map(|mount| format!("mount {mount}")));
        for path in [
            PathBuf::from("/run/netns").join(&entry.namespace),
            PathBuf::from("/sys/class/net").join(&entry.bridge),
            entry.folder.clone(),
        ] {
            if path.exists() {
                found.insert(path.display().to_string());
            }
        }
        found.extend(containers(&entry.engine_data).map(|id| format!("container {id}")));
        Ok(Self(found))
    }

    /// An error that names what is there afterwards and was not before.
    pub(crate) fn nothing_came_to(&self, after: &Self) -> Result<()> {
        let new: Vec<&str> = after.0.difference(&self.0).map(String::as_str).collect();
        ensure!(
            new.is_empty(),
            "the machine is not as it was; left are:\n  {}",
            new.join("\n  ")
        );
        Ok(())
    }
}

/// The namespaces that a demo made, and when they should have been gone.
pub(crate) struct Namespaces {
    made: BTreeSet<(u64, u64)>,
    /// In the kernel's ticks. A later process may have a namespace with the number of one that is gone.
    asked: u64,
}

impl Namespaces {
    /// Those of the demo's processes that this process is not in.
    pub(crate) fn of(entry: &Entry) -> Result<Self> {
        let own = namespaces("self");
        let mut made = BTreeSet::new();
        for process in processes(entry)? {
            made.extend(namespaces(&process.pid.to_string()).difference(&own));
        }
        // A process that begins now tells what time it is in the unit that processes are told apart by.
        let mut now = std::process::Command::new("sleep").arg("60").spawn()?;
        let asked = Process::of(i32::try_from(now.id())?).map_or(0, |process| process.started);
        now.kill()?;
        now.wait()?;
        Ok(Self { made, asked })
    }

    /// An error when any process that was there is still in one of them.
    pub(crate) fn are_gone(&self) -> Result<()> {
        for pid in all()? {
            let Some(process) = Process::of(pid).filter(|process| process.started <= self.asked)
            else {
                continue;
            };
            let still = namespaces(&pid.to_string());
            ensure!(
                still.is_disjoint(&self.made),
                "process {} ({}) is still in a namespace of the demo",
                process.pid,
                name_of(process.pid)
            );
        }
        Ok(())
    }
}

/// The demo's processes: they carry its mark, are in its control group, or have one of its accounts and no other
/// demo's mark.
fn processes(entry: &Entry) -> Result<Vec<Process>> {
    let own = entry.owner.pid;
    let is_of_demo = |pid: i32| {
        let mark = mark_of(pid);
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let owner = Path::new("/proc").join(pid.to_string()).metadata();
        let is_account = is_root() && owner.is_ok_and(|data| Account::ids().contains(&data.uid()));
        match mark {
            Some(mark) if mark == entry.name => true,
            Some(_) => false,
            None => is_account || group.contains(&entry.cgroup),
        }
    };
    let found = all()?.into_iter().filter(|pid| *pid != own);
    Ok(found
        .filter(|pid| is_of_demo(*pid))
        .filter_map(Process::of)
        .collect())
}

fn all() -> Result<Vec<i32>> {
    let entries = std::fs::read_dir("/proc").context("list processes")?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect())
}

fn namespaces(pid: &str) -> BTreeSet<(u64, u64)> {
    KINDS
        .iter()
        .filter_map(|kind| std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|data| (data.dev(), data.ino()))
        .collect()
}

fn name_of(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// The containers that the engine has written down, in its folder or in that of its user namespace.
fn containers(data: &Path) -> impl Iterator<Item = String> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut found = list(&data.join("containers"));
    for folder in list(data) {
        found.extend(list(&folder.join("containers")));
    }
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    found.into_iter().filter_map(name)
}

#[cfg(test)]
mod tests {
    use super::{Entry, Process, Traces, mark_of};
    use crate::program::MARK;

    #[test]
    fn a_marked_process_is_a_trace_as_long_as_it_lives() {
        let kept = tempfile::tempdir().unwrap();
        let own = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let entry = Entry::of(kept.path(), own);
        let before = Traces::of(&entry).unwrap();
        let mut left = std::process::Command::new("sleep")
            .arg("60")
            .env(MARK, &entry.name)
            .spawn()
            .unwrap();
        // The kernel wakes whoever started a program a moment before that program's environment is there.
        let pid = i32::try_from(left.id()).unwrap();
        while mark_of(pid).is_none() {
            std::thread::yield_now();
        }
        let problem = before.nothing_came_to(&Traces::of(&entry).unwrap());
        left.kill().unwrap();
        left.wait().unwrap();
        let text = problem.unwrap_err().to_string();
        assert!(text.contains("(sleep)"), "{text}");
        before
            .nothing_came_to(&Traces::of(&entry).unwrap())
            .unwrap();
    }

    #[test]
    fn a_container_that_the_engine_remembers_is_a_trace() {
        let kept = tempfile::tempdir().unwrap();
        let own = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let entry = Entry::of(kept.path(), own);
        let before = Traces::of(&entry).unwrap();
        let folder = entry.engine_data.join("165536.165536/containers/c0ffee");
        std::fs::create_dir_all(folder).unwrap();
        let problem = before.nothing_came_to(&Traces::of(&entry).unwrap());
        assert!(
            problem
                .unwrap_err()
                .to_string()
                .contains("container c0ffee")
        );
    }
}
