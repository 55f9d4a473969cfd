//! The wall time of `cargo demo --check`, the first time and the second.

use super::Record;
use anyhow::{Result, ensure};
use std::process::Command;
use std::time::Instant;

pub(super) fn measure() -> Result<()> {
    let mut record = Record::new(
        "demo",
        "`cargo demo --check`, first and second run",
        "The command itself, programs already compiled (`cargo build`), with an empty folder for what it keeps: the\n         \
         first run makes the base and tool images (most of it downloads), the second takes them from there.",
    )?;
    let cache = tempfile::Builder::new()
        .prefix("sallyport-bench-")
        .tempdir()?;
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let began = Instant::now();
        let ended = Command::new(std::env::current_exe()?)
            .args(["demo", "--check"])
            .env("SALLYPORT_DEMO_CACHE", cache.path())
            .status()?;
        ensure!(ended.success(), "the demo ended with {ended}");
        seconds.push(began.elapsed().as_secs_f64());
    }
    record.line(&format!("first run    {:>6.1} s", seconds[0]));
    record.line(&format!(
        "second run   {:>6.1} s, {:.0} % of the first",
        seconds[1],
        seconds[1] * 100.0 / seconds[0]
    ));
    record.keep()
}
