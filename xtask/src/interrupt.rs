//! Ctrl-C, SIGTERM and a terminal that is closed: noticed at any moment, so that whatever was made until then is taken away.
//!
//! A signal only leaves a note. Everything that waits looks at it (`check`); what takes away calls
//! `ignore_from_now` first and is not disturbed by a second Ctrl-C.

use anyhow::{Context as _, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);
static DEAF: AtomicBool = AtomicBool::new(false);

/// The person, or the machine, wants it to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Notices signals from now on. A handler and no mask: programs that are started later hear them as usual.
pub(crate) fn listen() -> Result<()> {
    DEAF.store(false, Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("listen for signals")?;
    let (mut int, mut term, mut hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            signal(SignalKind::hangup()).context("listen for SIGHUP")?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hangup.recv() => {}
                }
                ASKED.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(())
}

/// Whether it should end.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed) && !DEAF.load(Ordering::Relaxed)
}

/// An error when it should end.
pub(crate) fn check() -> Result<()> {
    if is_asked() {
        return Err(Interrupted.into());
    }
    Ok(())
}

/// From here on everything is taken away, whoever asks for an end.
pub(crate) fn ignore_from_now() {
    DEAF.store(true, Ordering::Relaxed);
}
