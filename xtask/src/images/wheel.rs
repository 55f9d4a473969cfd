//! Packages from PyPI, pinned by hash in a committed lock.

use crate::program;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lock's text, part of the recipe's hash.
pub(crate) const LOCK: &str = include_str!("wheels.toml");

/// Every wheel that images, the sample repository and the demo's checks use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    pub(crate) wheel: Vec<Wheel>,
}

/// One wheel.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wheel {
    /// The project's name on PyPI.
    pub(crate) package: String,
    pub(crate) version: String,
    /// The file's name, as PyPI has it.
    pub(crate) file: String,
    /// The file's SHA-256 in hex.
    pub(crate) sha256: String,
    /// What it is for: `tool`, `sample` or `check`.
    pub(crate) purpose: String,
    /// For a tool: the static program inside.
    pub(crate) program: Option<String>,
}

impl Lock {
    pub(crate) fn read() -> Result<Self> {
        toml::from_str(LOCK).context("read the lock of wheels")
    }

    /// The wheels of one purpose.
    pub(crate) fn of<'a>(&'a self, purpose: &'a str) -> impl Iterator<Item = &'a Wheel> {
        self.wheel
            .iter()
            .filter(move |wheel| wheel.purpose == purpose)
    }
}

/// Downloads one wheel with pip, unless the cache has it; its bytes are checked against the lock each time.
pub(crate) fn download(wheel: &Wheel, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join(&wheel.file);
    if !path.exists() {
        let mut requirement = tempfile::NamedTempFile::new()?;
        writeln!(
            requirement,
            "{}=={} --hash=sha256:{}",
            wheel.package, wheel.version, wheel.sha256
        )?;
        program::quiet(
            Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                ])
                .args(["--only-binary=:all:", "--require-hashes", "--dest"])
                .arg(folder)
                .arg("--requirement")
                .arg(requirement.path()),
        )
        .with_context(|| format!("download {} {}", wheel.package, wheel.version))?;
    }
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    if hex::encode(Sha256::digest(&bytes)) != wheel.sha256 {
        bail!(
            "{} is not the file that the lock names; remove it and try again",
            path.display()
        );
    }
    Ok(path)
}

/// Takes one file out of a wheel.
pub(crate) fn extract(wheel: &Path, inside: &str) -> Result<Vec<u8>> {
    let script = "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(wheel)
        .arg(inside)
        .output()?;
    if !output.status.success() {
        bail!("{inside} could not be read from {}", wheel.display());
    }
    Ok(output.stdout)
}
