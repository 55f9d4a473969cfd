//! Accepted deliveries a second: signed, stored and audited durably before each is answered.

use super::record::Record;
use crate::demo::{Deliveries, House, Running, Sample};
use anyhow::{Context as _, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Each is measured so long, or until so many were accepted.
const SPAN: Duration = Duration::from_secs(5);
const ACCEPTED_MAX: u64 = 20_000;

pub(super) fn measure(demo: &mut Running, house: &House, sample: &Sample) -> Result<()> {
    let deliveries = Arc::new(Deliveries::of(demo, house)?);
    let head = sample.head()?;
    let bytes = deliveries
        .body("refs/heads/measured", &head, &head, 1)
        .len();
    let mut record = Record::new(
        "deliveries",
        "Accepted deliveries a second",
        &format!(
            "The release build of the orchestrator on SQLite, on the loopback. Each connection is kept and posts one\n         \
             push after the other in GitHub's form ({bytes} bytes, no two alike, each with its HMAC), and waits for its\n         \
             202, which comes after delivery and audit entry are on disk. {} s for each, at most {ACCEPTED_MAX}. The\n         \
             sender (not optimised), the triggers that the deliveries wake and the demo's other programs share the\n         \
             processors.",
            SPAN.as_secs()
        ),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the sender")?;
    let next = Arc::new(AtomicU64::new(1_000_000));
    for connections in CONNECTIONS {
        let seen = runtime.block_on(sent(&deliveries, &head, connections, &next))?;
        demo.programs.all_live()?;
        record.line(&format!("{connections:>3} connections: {seen}"));
    }
    record.keep()
}

/// Sends over some connections at once.
async fn sent(
    deliveries: &Arc<Deliveries>,
    head: &str,
    connections: usize,
    next: &Arc<AtomicU64>,
) -> Result<String> {
    let first = next.load(Ordering::Relaxed);
    let began = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (deliveries, head, next) = (Arc::clone(deliveries), head.to_owned(), Arc::clone(next));
        senders.spawn(async move {
            let connection = deliveries.connection()?;
            let mut took = Vec::new();
            while began.elapsed() < SPAN {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number - first >= ACCEPTED_MAX {
                    break;
                }
                let body = deliveries.body("refs/heads/measured", &head, &head, number);
                let asked = Instant::now();
                deliveries.post(&connection, body).await?;
                took.push(asked.elapsed().as_secs_f64() * 1000.0);
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = senders.join_next().await {
        took.extend(ended.context("a sender")??);
    }
    let seconds = began.elapsed().as_secs_f64();
    ensure!(!took.is_empty(), "nothing was accepted");
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    Ok(format!(
        "{:.0} a second ({} accepted in {seconds:.1} s), answered within {:.1} ms (half), {:.1} ms (99 of 100)",
        f64::from(u32::try_from(took.len())?) / seconds,
        took.len(),
        at(50),
        at(99)
    ))
}
