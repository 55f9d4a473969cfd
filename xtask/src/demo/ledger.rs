//! What a demo has made on this machine, written down before it exists, so that `cargo demo --clean` can take it away
//! after the demo itself was killed.

use super::place::Place;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One process, told from a later one with the same number by the time it started.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Field 22 of /proc/<pid>/stat: clock ticks since the machine started.
    pub(crate) started: u64,
}

impl Process {
    /// A process that lives now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, so count from its closing parenthesis.
        let (_, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        if matches!(fields.first(), Some(&"Z")) {
            return None;
        }
        Some(Self {
            pid,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    pub(crate) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// What is written down.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Entry {
    /// The demo's name, also the value of [`crate::program::MARK`] in the environment of everything it starts.
    pub(crate) name: String,
    /// The demo itself.
    pub(crate) owner: Process,
    /// The run's folder.
    pub(crate) folder: PathBuf,
    /// Where the engine keeps what outlives the demo.
    pub(crate) engine_data: PathBuf,
    /// The control group below which everything of the engine runs.
    pub(crate) cgroup: String,
    /// The engine's network namespace.
    pub(crate) namespace: String,
    /// The engine's bridge.
    pub(crate) bridge: String,
    pub(crate) processes: Vec<(String, Process)>,
}

impl Entry {
    /// What the demo of a process makes.
    pub(crate) fn of(kept: &Path, owner: Process) -> Self {
        let name = format!("demo-{}", owner.pid);
        let folder = Place::of(&name).root().to_owned();
        Self {
            engine_data: engine_data(kept, &folder),
            folder,
            cgroup: format!("sallyport-{name}"),
            namespace: format!("sallyport-{name}"),
            bridge: format!("sp{}", owner.pid),
            name,
            owner,
            processes: Vec::new(),
        }
    }
}

/// The folder that is kept; one of its own, which goes with the demo, while another demo's engine works there.
fn engine_data(kept: &Path, folder: &Path) -> PathBuf {
    let data = kept.join("engine");
    let lock = std::fs::File::open(data.join("engine.lock"));
    match lock.map(|file| file.try_lock()) {
        Ok(Err(std::fs::TryLockError::WouldBlock)) => folder.join("engine-data"),
        Ok(_) | Err(_) => data,
    }
}

/// A ledger on disk.
pub(crate) struct Ledger {
    file: PathBuf,
    pub(crate) entry: Entry,
}

impl Ledger {
    /// Opens a new ledger.
    pub(crate) fn begin(kept: &Path, entry: Entry) -> Result<Self> {
        let folder = kept.join("ledgers");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let ledger = Self {
            file: folder.join(format!("{}.json", entry.name)),
            entry,
        };
        ledger.write()?;
        Ok(ledger)
    }

    /// Every ledger of demos that did not end cleanly, or still run.
    pub(crate) fn all(kept: &Path) -> Result<Vec<Self>> {
        let Ok(files) = std::fs::read_dir(kept.join("ledgers")) else {
            return Ok(Vec::new());
        };
        let mut ledgers = Vec::new();
        for file in files {
            let file = file.context("list the ledgers")?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let bytes = std::fs::read(&file)?;
                let entry = serde_json::from_slice(&bytes)
                    .with_context(|| format!("read {}", file.display()))?;
                ledgers.push(Self { file, entry });
            }
        }
        Ok(ledgers)
    }

    /// Writes a started process down.
    pub(crate) fn add(&mut self, name: &str, process: Process) -> Result<()> {
        self.entry.processes.push((name.to_owned(), process));
        self.write()
    }

    /// Removes the ledger: nothing of the demo is left.
    pub(crate) fn close(self) -> Result<()> {
        std::fs::remove_file(&self.file).with_context(|| format!("remove {}", self.file.display()))
    }

    fn write(&self) -> Result<()> {
        let unfinished = self.file.with_extension("new");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(&self.entry)?)
            .with_context(|| format!("write {}", unfinished.display()))?;
        std::fs::rename(&unfinished, &self.file).context("write the ledger")
    }
}
