//! A figure's paper: what was measured, on which commit and machine, how, and what was seen.

use crate::{ci, program};
use anyhow::{Context as _, Result};
use std::process::Command;

const FOLDER: &str = "docs/measured";

/// A paper that is being written.
pub(crate) struct Record {
    name: &'static str,
    text: String,
}

impl Record {
    /// Opens one; `method` says in whole sentences how it is measured.
    pub(crate) fn new(name: &'static str, title: &str, method: &str) -> Result<Self> {
        let git = |words: &[&str]| {
            program::quiet(
                Command::new("git")
                    .current_dir(ci::repository())
                    .args(words),
            )
        };
        let commit = git(&["rev-parse", "HEAD"])?;
        // What one measurement keeps changes nothing of what the next one measures.
        let others = format!(":!{FOLDER}");
        let status = [
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            &others,
        ];
        let is_changed = !git(&status)?.is_empty();
        let changed = if is_changed {
            " and changes that are not committed"
        } else {
            ""
        };
        Ok(Self {
            name,
            text: format!(
                "{title}\n\ncommit   {}{changed}\nmachine  {}\nmethod   {method}\n\n",
                commit.trim(),
                machine()?
            ),
        })
    }

    /// Writes a line and prints it.
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Keeps the paper.
    pub(crate) fn keep(self) -> Result<()> {
        let folder = ci::repository().join(FOLDER);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let file = folder.join(format!("{}.txt", self.name));
        std::fs::write(&file, self.text).with_context(|| format!("write {}", file.display()))?;
        println!("kept in {FOLDER}/{}.txt", self.name);
        Ok(())
    }
}

/// Processors, memory and kernel, and how busy the machine was.
fn machine() -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("read {path}"));
    let (cpu, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let load = read("/proc/loadavg")?;
    Ok(format!(
        "{} processors ({}), {} of memory, Linux {}, load before {}",
        std::thread::available_parallelism()?,
        field(&cpu, "model name"),
        field(&memory, "MemTotal"),
        kernel.trim(),
        load.split(' ').next().unwrap_or("")
    ))
}

/// The middle, the least and the most of some figures, in milliseconds.
pub(super) fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    match (
        figures.first(),
        figures.get(figures.len() / 2),
        figures.last(),
    ) {
        (Some(least), Some(middle), Some(most)) => {
            format!(
                "median {middle:.0} ms, least {least:.0} ms, most {most:.0} ms, of {}",
                figures.len()
            )
        }
        _ => "nothing was measured".to_owned(),
    }
}

/// The middle of some figures.
pub(super) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{median, spread};

    #[test]
    fn the_middle_is_told_with_its_bounds() {
        assert_eq!(
            spread(vec![30.0, 10.0, 20.0]),
            "median 20 ms, least 10 ms, most 30 ms, of 3"
        );
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(Vec::new()), "nothing was measured");
    }
}
