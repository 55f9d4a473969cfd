//! `cargo demo --clean` after a SIGKILL of the demo in each stage: nothing of it is left.

use super::ledger::{Entry, Process};
use super::place::kept;
use super::traces::{Namespaces, Traces};
use crate::program;
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// What the demo prints when a stage begins; it is killed then. The first few are enough to find a mistake in
/// cleaning up, all of them are for a long run.
const STAGES: &[&str] = &[
    "the worker and its own engine",
    "run 1: step web ",
    "rita approves",
    "building the programs",
    "base and tool images",
    "a registry, filled",
    "a plain git repository",
    "the signer, alone",
    "the server and its registry",
    "people, advisories",
    "run 1: step style ",
    "run 1: step unit ",
    "run 1: step contents ",
    "run 1: step api ",
    "promotion to dev",
    "promotion to staging",
    "promotion to prod",
    "openssl:",
    "pushed a commit that goes back",
    "pushed a commit with a key",
    "ending",
];
/// How many of them `cargo ci` tries.
const FEW: usize = 3;

/// Kills a demo in a few stages, or in all.
pub(crate) fn kills(all: bool) -> Result<()> {
    let stages = if all { STAGES } else { &STAGES[..FEW] };
    for stage in stages {
        killed_at(stage).with_context(|| format!("a demo killed at `{stage}`"))?;
        println!("killed at `{stage}`: cleaned up");
    }
    Ok(())
}

fn killed_at(stage: &str) -> Result<()> {
    let mut demo = Command::new(std::env::current_exe()?)
        .args(["demo", "--check"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start a demo")?;
    let pid = i32::try_from(demo.id()).context("a process number")?;
    let entry = Entry::of(&kept()?, Process::of(pid).context("a demo that lives")?);
    let before = Traces::of(&entry)?;
    let words = demo.stdout.take().context("a demo's words")?;
    let mut told = String::new();
    let mut is_reached = false;
    for line in BufReader::new(words).lines() {
        let line = line?;
        told = told + &line + "\n";
        // A step that is ready has nothing in the engine yet.
        if line.contains(stage) && !line.ends_with("ready") {
            is_reached = true;
            break;
        }
    }
    let namespaces = Namespaces::of(&entry)?;
    demo.kill().context("kill the demo")?;
    demo.wait().context("wait for the demo")?;
    // Before the verdict: whatever it came to is taken away.
    let cleaned = program::quiet(Command::new(std::env::current_exe()?).args(["demo", "--clean"]))?;
    ensure!(
        is_reached,
        "it did not come so far:\n{}",
        program::tail(&told)
    );
    ensure!(
        cleaned.contains(&entry.name),
        "--clean did not find it:\n{cleaned}"
    );
    before.nothing_came_to(&Traces::of(&entry)?)?;
    namespaces.are_gone()
}
