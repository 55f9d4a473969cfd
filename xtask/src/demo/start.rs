//! Bringing everything up, in order; each part is a function that says what it does.

use super::ledger::{Entry, Ledger, Process};
use super::place::{Account, Place, give, kept};
use super::program::{Programs, command};
use super::sample::{Filling, Sample};
use super::traces::{Namespaces, Traces};
use crate::images::{Built, build_all, is_cached, push};
use crate::postgres::free_port;
use crate::{built, interrupt, program, registry};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a program may take until it answers for the first time.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// A demo that is coming up or runs.
pub(crate) struct Demo {
    pub(crate) place: Place,
    pub(crate) ledger: Ledger,
    pub(crate) programs: Programs,
    pub(crate) kept: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) images: Vec<Built>,
    /// Whether the images are made in this run and not taken from the cache.
    pub(crate) is_first: bool,
    before: Traces,
    began: Instant,
}

/// Where things listen, all on the loopback.
pub(crate) struct Ports {
    pub(crate) server: u16,
    pub(crate) worker: u16,
    pub(crate) registry: u16,
}

impl Demo {
    /// Writes the ledger and makes the run's folder.
    pub(crate) fn begin(server_port: u16, began: Instant) -> Result<Self> {
        interrupt::listen()?;
        let kept = kept()?;
        std::fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
        let own = i32::try_from(std::process::id()).context("a process number")?;
        let owner = Process::of(own).context("this process is not in /proc")?;
        let entry = Entry::of(&kept, owner);
        program::mark(&entry.name);
        let place = Place::of(&entry.name);
        let before = Traces::of(&entry)?;
        let ledger = Ledger::begin(&kept, entry)?;
        place.make()?;
        let programs = Programs::new(&place)?;
        let ports = Ports {
            server: server_port,
            worker: free_port()?,
            registry: free_port()?,
        };
        Ok(Self {
            place,
            ledger,
            programs,
            ports,
            images: Vec::new(),
            is_first: !is_cached(&kept),
            kept,
            before,
            began,
        })
    }

    /// The time since the beginning.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints a stage with the time since the beginning.
    pub(crate) fn say(&self, words: &str) {
        println!("[{:>6.1} s] {words}", self.began.elapsed().as_secs_f64());
    }

    /// The registry's one name.
    pub(crate) fn registry(&self) -> String {
        format!("127.0.0.1:{}", self.ports.registry)
    }

    /// The pages' address.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.ports.server)
    }

    /// Where the engine's API is.
    pub(crate) fn engine_socket(&self) -> PathBuf {
        self.place.root().join("engine/run/docker.sock")
    }

    /// The process of one of the programs.
    pub(crate) fn pid_of(&self, name: &str) -> Result<i32> {
        let started = self.ledger.entry.processes.iter().rev();
        let mut found = started.filter(|(started, _)| started == name);
        let (_, process) = found
            .next()
            .with_context(|| format!("no {name} was started"))?;
        Ok(process.pid)
    }

    /// Builds the programs as `profile` says and puts copies where every account can reach them.
    pub(crate) fn build_programs(&self, profile: &str) -> Result<()> {
        self.say("building the programs");
        let built = built::programs(profile)?;
        let folder = self.place.folder("bin", None, 0o755)?;
        built::copy_programs(&built, &folder)?;
        Ok(())
    }

    /// One of our programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.place.root().join("bin").join(name)
    }

    /// Makes the images, or takes them from the cache.
    pub(crate) fn make_images(&mut self) -> Result<PathBuf> {
        self.say("base and tool images (made from Debian's archive the first time, then kept)");
        let (images, folder) = build_all(&self.kept)?;
        for image in &images {
            println!("             {}@{}", image.name, image.digest);
        }
        self.images = images;
        Ok(folder)
    }

    /// Starts the registry as it is before there is an orchestrator, fills it, and ends it again.
    pub(crate) fn fill_registry(&mut self, blobs: &Path) -> Result<()> {
        self.say("a registry, filled with these images");
        self.start_registry(None)?;
        for image in &self.images {
            push(&self.registry(), image, blobs)?;
        }
        self.programs.stop("registry")
    }

    /// Starts the registry, believing a token service or everybody.
    pub(crate) fn start_registry(
        &mut self,
        tokens: Option<&registry::TokenService<'_>>,
    ) -> Result<()> {
        let folder = self.place.private("registry", Account::Registry)?;
        let file = folder.join("config.yml");
        registry::configure(&file, &folder.join("data"), self.ports.registry, tokens)?;
        give(&file, Account::Registry)?;
        let mut command = command(&self.ledger, Some(Account::Registry), &registry::program()?);
        command.arg("serve").arg(&file);
        self.programs.start(&mut self.ledger, "registry", command)?;
        let port = self.ports.registry;
        self.programs
            .wait_for("the registry", FIRST_ANSWER, || registry::answers(port))
    }

    /// Makes the sample repository with its first commit.
    pub(crate) fn make_sample(&self) -> Result<(Sample, Filling)> {
        self.say("a plain git repository with a small Python service");
        let sample = Sample::make(&self.place, &self.kept.join("wheels"))?;
        let filling = Filling::new(&self.registry(), &self.images, &sample.bare)?;
        sample.first_commit(&filling)?;
        Ok((sample, filling))
    }

    /// Ends everything, takes it away, and looks whether the machine is as it was.
    pub(crate) fn end(mut self) -> Result<()> {
        interrupt::ignore_from_now();
        self.say("ending");
        let namespaces = Namespaces::of(&self.ledger.entry)?;
        self.programs.stop_all()?;
        super::clean::sweep(&self.ledger.entry)?;
        let entry = self.ledger.entry.clone();
        self.ledger.close()?;
        self.before.nothing_came_to(&Traces::of(&entry)?)?;
        namespaces.are_gone()?;
        // A plain user cannot look at the namespaces of root's processes.
        let seen = if program::is_root() {
            "processes, namespaces, mounts, control groups and containers"
        } else {
            "processes, mounts and control groups (root's namespaces and containers were not looked at)"
        };
        println!(
            "[{:>6.1} s] {seen} are as they were",
            self.began.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
