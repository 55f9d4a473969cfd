//! Resident memory of the programs after a minute with nothing to do.

use super::Record;
use crate::demo::Running;
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);

pub(super) fn measure(demo: &mut Running) -> Result<()> {
    let mut record = Record::new(
        "memory",
        "Resident memory of the programs, idle",
        "VmRSS and VmHWM (the most so far) in /proc/<pid>/status of release builds, 60 s after one run of the sample\n         \
         was built, scanned, tested, signed and promoted to staging; nothing is asked of them in between.",
    )?;
    demo.say("nothing to do for 60 s");
    let deadline = Instant::now() + IDLE;
    while Instant::now() < deadline {
        demo.programs.all_live()?;
        std::thread::sleep(LOOK);
    }
    for (title, name) in [
        ("orchestrator", "server"),
        ("signer", "signer"),
        ("worker", "worker"),
    ] {
        let pid = demo.pid_of(name)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("read the state of the {title}"))?;
        let (now, most) = (mebibytes(&status, "VmRSS:")?, mebibytes(&status, "VmHWM:")?);
        record.line(&format!(
            "{title:<13} {now:>6.1} MiB, at most {most:.1} MiB so far"
        ));
    }
    record.keep()
}

fn mebibytes(status: &str, field: &str) -> Result<f64> {
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kibibytes: f64 = kibibytes.with_context(|| format!("no {field}"))?.parse()?;
    Ok(kibibytes / 1024.0)
}
