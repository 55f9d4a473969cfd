//! The wall time of `cargo demo --check`, the first time and the second.

use super::Record;
use crate::built::cargo;
use anyhow::{Result, ensure};
use std::time::Instant;

pub(super) fn measure() -> Result<()> {
    let mut record = Record::new(
        "demo",
        "`cargo demo --check`, first and second run",
        "The command itself as on a fresh machine on which its packages are installed: with an empty folder for what\n         \
         cargo compiles and one for what the demo keeps. The first run compiles everything and makes the base and\n         \
         tool images, the second takes them from there.",
    )?;
    let fresh = tempfile::Builder::new()
        .prefix("sallyport-bench-")
        .tempdir()?;
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let began = Instant::now();
        let ended = cargo()
            .args(["demo", "--check"])
            .env("CARGO_TARGET_DIR", fresh.path().join("target"))
            .env("SALLYPORT_DEMO_CACHE", fresh.path().join("kept"))
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
    record.keep()?;
    ensure!(
        seconds[1] * 3.0 <= seconds[0],
        "the second run takes more than a third of the first"
    );
    Ok(())
}
