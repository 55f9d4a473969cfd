//! The stages of a command: run one after the other, timed, and told in a table that never calls "passed" what was not run.

use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};

/// How a stage ended that did not fail.
pub(crate) enum Outcome {
    Passed,
    /// It was not run, and why.
    Skipped(&'static str),
}

/// What was run so far.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<(&'static str, Outcome, Duration)>,
}

/// Nothing failed, but not everything was run.
#[derive(Debug)]
pub(crate) struct Incomplete(usize);

impl std::fmt::Display for Incomplete {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} of the stages were skipped: not everything is proved",
            self.0
        )
    }
}

impl std::error::Error for Incomplete {}

impl Stages {
    /// Runs a stage and says how long it took.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        println!("\n==> {name}");
        let start = Instant::now();
        let ended = work();
        let took = start.elapsed();
        match &ended {
            Ok(()) => println!("==> {name}: {:.1} s", took.as_secs_f64()),
            Err(_) => println!("==> {name}: FAILED after {:.1} s", took.as_secs_f64()),
        }
        self.done.push((name, Outcome::Passed, took));
        ended.with_context(|| format!("stage {name}"))
    }

    /// Runs a stage when `can` holds; otherwise says why it is skipped.
    pub(crate) fn run_if(
        &mut self,
        can: bool,
        why_not: &'static str,
        name: &'static str,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if can {
            return self.run(name, work);
        }
        println!("\n==> {name}: SKIPPED, not passed: {why_not}");
        self.done
            .push((name, Outcome::Skipped(why_not), Duration::ZERO));
        Ok(())
    }

    /// Prints what was run and how long it took; an error when something was not run.
    pub(crate) fn conclude(&self) -> Result<()> {
        let (text, skipped) = self.table();
        print!("\n{text}");
        if skipped == 0 {
            return Ok(());
        }
        Err(Incomplete(skipped).into())
    }

    /// What was run and how long it took, and how many were skipped.
    pub(crate) fn table(&self) -> (String, usize) {
        let is_skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
        let skipped = self.done.iter().filter(|(_, o, _)| is_skipped(o)).count();
        let mut text = match skipped {
            0 => "All stages passed:\n".to_owned(),
            skipped => format!(
                "{} stages passed, {skipped} skipped:\n",
                self.done.len() - skipped
            ),
        };
        for (name, outcome, took) in &self.done {
            text.push_str(&match outcome {
                Outcome::Passed => format!("  {name:<22} {:>8.1} s\n", took.as_secs_f64()),
                Outcome::Skipped(why) => format!("  {name:<22}  skipped: {why}\n"),
            });
        }
        let all: Duration = self.done.iter().map(|(_, _, took)| *took).sum();
        text.push_str(&format!(
            "  {:<22} {:>8.1} s\n",
            "together",
            all.as_secs_f64()
        ));
        (text, skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Stages;

    #[test]
    fn a_skipped_stage_is_never_called_passed() {
        let mut stages = Stages::default();
        stages.run("lints", || Ok(())).unwrap();
        assert!(stages.conclude().is_ok());
        stages
            .run_if(false, "needs root", "sandbox", || {
                unreachable!("a skipped stage does not run")
            })
            .unwrap();
        let (text, _) = stages.table();
        assert!(text.starts_with("1 stages passed, 1 skipped:"), "{text}");
        assert!(text.contains("skipped: needs root"), "{text}");
        assert!(stages.conclude().is_err());
    }

    #[test]
    fn the_first_failure_ends_it_with_the_stages_name() {
        let failed = Stages::default().run("lints", || anyhow::bail!("a lint"));
        assert_eq!(format!("{:#}", failed.unwrap_err()), "stage lints: a lint");
    }
}
