//! A Python environment with securesystemslib, the independent program that envelopes are verified with.

use crate::program;
use anyhow::Result;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const REQUIREMENTS: &str = include_str!("demo/check-requirements.txt");

/// Makes it once in the kept folder, from hash-pinned packages; its Python.
pub(crate) fn securesystemslib(kept: &Path) -> Result<PathBuf> {
    let hash = hex::encode(Sha256::digest(REQUIREMENTS));
    let environment = kept.join("check").join(&hash[..16]);
    let python = environment.join("bin/python3");
    let complete = environment.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    program::quiet(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )?;
    let requirements = environment.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS)?;
    program::quiet(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--require-hashes", "--only-binary=:all:", "--requirement"])
            .arg(&requirements),
    )?;
    // Written last: an environment without it is made again.
    std::fs::write(&complete, "")?;
    Ok(python)
}
