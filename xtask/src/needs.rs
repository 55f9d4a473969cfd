//! What the commands need from the machine: found, installed from Debian, or named in one command to run.

use crate::program;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::Command;

/// One thing a command needs.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    /// The Debian package that brings it.
    package: &'static str,
    /// What it is for, in words.
    purpose: &'static str,
    found: fn() -> bool,
}

/// What `cargo demo` needs.
pub(crate) const DEMO: &[Need] = &[
    Need {
        package: "docker.io",
        purpose: "the worker's own engine",
        found: || has("dockerd"),
    },
    Need {
        package: "fuse-overlayfs",
        purpose: "the engine's storage",
        found: || has("fuse-overlayfs"),
    },
    Need {
        package: "uidmap",
        purpose: "the engine's user namespaces",
        found: || has("newuidmap"),
    },
    Need {
        package: "docker-registry",
        purpose: "the registry",
        found: || has("docker-registry"),
    },
    Need {
        package: "mmdebstrap",
        purpose: "the base images",
        found: || has("mmdebstrap"),
    },
    Need {
        package: "git",
        purpose: "the sample repository",
        found: || has("git"),
    },
    Need {
        package: "curl",
        purpose: "speaking HTTP as people do",
        found: || has("curl"),
    },
    Need {
        package: "openssl",
        purpose: "checking signatures",
        found: || has("openssl"),
    },
    Need {
        package: "iproute2",
        purpose: "the engine's network namespace",
        found: || has("ip"),
    },
    Need {
        package: "python3-venv",
        purpose: "hash-pinned tools from PyPI",
        found: || program::succeeds("python3", ["-c", "import venv, ensurepip"]),
    },
    Need {
        package: "python3-pip",
        purpose: "hash-pinned tools from PyPI",
        found: || program::succeeds("python3", ["-m", "pip", "--version"]),
    },
];

/// What `cargo ci` needs besides.
pub(crate) const TESTS: &[Need] = &[
    Need {
        package: "postgresql",
        purpose: "the store tests",
        found: || crate::postgres::programs().is_some(),
    },
    Need {
        package: "chromium",
        purpose: "the browser story",
        found: || has("chromium"),
    },
    Need {
        package: "chromium-driver",
        purpose: "the browser story",
        found: || has("chromedriver"),
    },
];

/// What could not be had; the text is the one command that would bring it.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl Missing {
    /// What cannot be had before this command is run.
    pub(crate) fn run(command: &str) -> Self {
        Self(command.to_owned())
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "something is missing; run this, then try again:\n\n    {}\n",
            self.0
        )
    }
}

impl std::error::Error for Missing {}

/// Makes sure that everything is there, installing as root what is not.
pub(crate) fn ensure(sets: &[&[Need]], install_without_asking: bool) -> Result<()> {
    anyhow::ensure!(
        cfg!(target_arch = "x86_64"),
        "the lock of tools (xtask/src/images/wheels.toml) is for x86-64 so far, and this machine is {}",
        std::env::consts::ARCH
    );
    let missing: Vec<Need> = sets
        .iter()
        .flat_map(|set| set.iter())
        .filter(|need| !(need.found)())
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Missing on this machine:");
    for need in &missing {
        println!("  {:<18} {}", need.package, need.purpose);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let command = install_command(&packages);
    if !program::is_root() || program::find("apt-get").is_none() {
        let become_root = match program::find("sudo") {
            _ if program::is_root() => command,
            Some(_) => format!("sudo sh -c '{command}'"),
            None => format!("su --command '{command}'"),
        };
        return Err(Missing(become_root).into());
    }
    if !install_without_asking
        && !agreed(&format!("Install with apt-get: {}?", packages.join(" ")))?
    {
        return Err(Missing(command).into());
    }
    if let Err(error) = install(&packages) {
        println!("{error:#}");
    }
    let still: Vec<&str> = missing
        .iter()
        .filter(|need| !(need.found)())
        .map(|need| need.package)
        .collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(Missing(install_command(&still)).into())
}

/// Asks on a terminal; without one the answer is yes, and no when the terminal says nothing more (Ctrl-D).
pub(crate) fn agreed(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    print!("{question} [Y/n] ");
    std::io::stdout().flush().context("write the question")?;
    let mut answer = String::new();
    let read = std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("read the answer")?;
    Ok(read > 0 && matches!(answer.trim(), "" | "y" | "Y" | "yes"))
}

fn install(packages: &[&str]) -> Result<()> {
    println!("Installing with apt-get: {}", packages.join(" "));
    // A list that is a little old is no reason to stop: what cannot be found then is said by the installation.
    if let Err(error) = program::quiet(apt().arg("update")) {
        println!("apt-get update did not end well; going on with the lists there are: {error:#}");
    }
    program::quiet(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
    .context("install what is missing")?;
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // A package must not start daemons of its own on this machine: policy-rc.d cannot be given by
    // an environment variable, but RUNLEVEL=1 makes invoke-rc.d leave services alone.
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .arg("-q");
    command
}

fn install_command(packages: &[&str]) -> String {
    format!(
        "apt-get update && apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    )
}

fn has(name: &str) -> bool {
    program::find(name).is_some()
}
