//! What is counted and measured in this process, as Prometheus text. Like log lines, counts go to one
//! place of the process; names are `sallyport_<room>_<what>_<unit>`, and no label is an id or a text
//! from outside (DECISIONS 25). docs/operations.md lists them, held by a test.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::LazyLock;
use std::time::Duration;

/// One label with one of a few words.
type Label = [(&'static str, String); 1];
type Two = [(&'static str, String); 2];
/// A family of histograms knows how to make one.
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// Queue waits and work of steps: from a second to the longest timeout that there is.
const LONG_SECS: [f64; 12] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 86_400.0,
];
/// Passes and writes: from half a millisecond to where somebody should look.
const SHORT_SECS: [f64; 11] = [
    0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0,
];
/// Writes in one commit; the writer takes at most 128.
const GROUPS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The metrics of this process.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Everything that is counted and measured.
pub struct Metrics {
    registry: Registry,
    delivery_received: Family<Label, Counter>,
    delivery_refused: Family<Label, Counter>,
    trigger_decided: Family<Label, Counter>,
    run_open: Family<Label, Gauge>,
    run_ended: Family<Label, Counter>,
    step_open: Family<Label, Gauge>,
    step_queue_wait: Histogram,
    step_work: Histograms,
    step_lease_expired: Counter,
    promotion_open: Family<Label, Gauge>,
    promotion_ended: Family<Label, Counter>,
    reconcile_pass: Histograms,
    reconcile_failed: Family<Label, Counter>,
    db_write: Family<Label, Histogram, fn() -> Histogram>,
    db_group: Histogram,
    registry_calls: Family<Two, Counter>,
    signing_calls: Family<Two, Counter>,
    process_memory: Gauge,
}

fn long() -> Histogram {
    Histogram::new(LONG_SECS)
}

fn short() -> Histogram {
    Histogram::new(SHORT_SECS)
}

fn of(name: &'static str, word: impl Into<String>) -> Label {
    [(name, word.into())]
}

/// Rows by a word of theirs, as a room counts them.
pub type ByWord = Vec<(String, i64)>;

/// What is read from the database when somebody asks.
pub struct Open {
    /// Runs that have not ended, by state.
    pub runs: ByWord,
    /// Steps that are ready, leased or reported, by state.
    pub steps: ByWord,
    /// Promotions that have not ended, by state.
    pub promotions: ByWord,
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("sallyport");
        let mut r = Registrar(&mut registry);
        Self {
            delivery_received: r.add(
                "delivery_received",
                "Deliveries that were verified, by outcome: accepted, repeated, replayed, id-reused",
            ),
            delivery_refused: r.add("delivery_refused", "Deliveries that were refused, by reason"),
            trigger_decided: r.add("trigger_decided", "Decisions about a ref, by decision: start, skip"),
            run_open: r.add("run_open_runs", "Runs that have not ended, by state"),
            run_ended: r.add("run_ended", "Runs that ended, by cause"),
            step_open: r.add("step_open_steps", "Steps that are ready, leased or reported, by state"),
            step_queue_wait: r.made("step_queue_wait_seconds", "From ready to leased", long()),
            step_work: r.made(
                "step_work_seconds",
                "From leased to the end of the lease, by kind of step",
                Family::new_with_constructor(long as fn() -> Histogram),
            ),
            step_lease_expired: r.add(
                "step_lease_expired",
                "Leases that were ended here: the worker was lost or the deadline passed",
            ),
            promotion_open: r.add("promotion_open_promotions", "Promotions that have not ended, by state"),
            promotion_ended: r.add("promotion_ended", "Promotions that ended, by state"),
            reconcile_pass: r.made(
                "reconcile_pass_seconds",
                "Passes of a stage",
                Family::new_with_constructor(short as fn() -> Histogram),
            ),
            reconcile_failed: r.add("reconcile_pass_failures", "Passes of a stage that failed as a whole"),
            db_write: r.made(
                "db_write_seconds",
                "Writes from asked to durable, by outcome: kept, undone",
                Family::new_with_constructor(short as fn() -> Histogram),
            ),
            db_group: r.made("db_group_writes", "Writes in one commit (SQLite)", Histogram::new(GROUPS)),
            registry_calls: r.add(
                "registry_calls",
                "Requests to the registry, by operation and outcome: answered, failed, unreachable",
            ),
            signing_calls: r.add(
                "signing_calls",
                "Requests to the signer, by operation and outcome: answered, refused, failed",
            ),
            process_memory: r.add("process_memory_bytes", "Resident memory of this process"),
            registry,
        }
    }

    /// A verified delivery was kept or recognised.
    pub fn delivery_received(&self, outcome: &'static str) {
        self.delivery_received
            .get_or_create(&of("outcome", outcome))
            .inc();
    }

    /// A delivery was refused.
    pub fn delivery_refused(&self, reason: &'static str) {
        self.delivery_refused
            .get_or_create(&of("reason", reason))
            .inc();
    }

    /// A decision about one ref.
    pub fn trigger_decided(&self, decision: &'static str) {
        self.trigger_decided
            .get_or_create(&of("decision", decision))
            .inc();
    }

    /// A run has ended.
    pub fn run_ended(&self, cause: &'static str) {
        self.run_ended.get_or_create(&of("cause", cause)).inc();
    }

    /// A step was leased after it was ready for so long.
    pub fn step_leased(&self, waited: Duration) {
        self.step_queue_wait.observe(waited.as_secs_f64());
    }

    /// A lease has ended.
    pub fn lease_ended(&self, kind: &str, worked: Duration, expired: bool) {
        self.step_work
            .get_or_create(&of("kind", kind))
            .observe(worked.as_secs_f64());
        if expired {
            self.step_lease_expired.inc();
        }
    }

    /// A promotion has ended.
    pub fn promotion_ended(&self, state: &str) {
        self.promotion_ended
            .get_or_create(&of("state", state))
            .inc();
    }

    /// A stage has passed.
    pub fn passed(&self, stage: &'static str, took: Duration, good: bool) {
        self.reconcile_pass
            .get_or_create(&of("stage", stage))
            .observe(took.as_secs_f64());
        // Made in any case, so that a failure is seen to rise from nought.
        let failed = self.reconcile_failed.get_or_create(&of("stage", stage));
        failed.inc_by(u64::from(!good));
    }

    /// A write has ended.
    pub fn written(&self, took: Duration, kept: bool) {
        let outcome = if kept { "kept" } else { "undone" };
        self.db_write
            .get_or_create(&of("outcome", outcome))
            .observe(took.as_secs_f64());
    }

    /// So many writes were in one commit.
    pub fn committed_together(&self, writes: usize) {
        self.db_group
            .observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
    }

    /// A request to the registry has ended.
    pub fn registry_call(&self, operation: &'static str, outcome: &'static str) {
        let labels = [
            ("operation", operation.replace(' ', "-")),
            ("outcome", outcome.to_owned()),
        ];
        self.registry_calls.get_or_create(&labels).inc();
    }

    /// A request to the signer has ended.
    pub fn signer_call(&self, operation: &'static str, outcome: &'static str) {
        let labels = [
            ("operation", operation.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.signing_calls.get_or_create(&labels).inc();
    }

    /// All of it as Prometheus reads it.
    pub fn text(&self, open: &Open) -> String {
        let set = |family: &Family<Label, Gauge>, rows: &ByWord| {
            // What is no longer there is nought, not what it was.
            family.clear();
            for (word, count) in rows {
                family.get_or_create(&of("state", word)).set(*count);
            }
        };
        set(&self.run_open, &open.runs);
        set(&self.step_open, &open.steps);
        set(&self.promotion_open, &open.promotions);
        self.process_memory.set(resident_bytes());
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics could not be written as text");
        }
        text
    }
}

/// Registers and hands back.
struct Registrar<'r>(&'r mut Registry);

impl Registrar<'_> {
    fn add<M: Metric + Clone + Default>(&mut self, name: &'static str, help: &'static str) -> M {
        self.made(name, help, M::default())
    }

    fn made<M: Metric + Clone>(&mut self, name: &'static str, help: &'static str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

/// `VmRSS` of this process; nought where the system does not say.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<i64>().ok());
    kib.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_not_shown_as_it_was() {
        let metrics = Metrics::new();
        let open = |runs: &[(&str, i64)]| Open {
            runs: runs
                .iter()
                .map(|(word, n)| ((*word).to_owned(), *n))
                .collect(),
            steps: Vec::new(),
            promotions: Vec::new(),
        };
        let text = metrics.text(&open(&[("running", 3)]));
        assert!(
            text.contains("sallyport_run_open_runs{state=\"running\"} 3"),
            "{text}"
        );
        let text = metrics.text(&open(&[]));
        assert!(!text.contains("state=\"running\""), "{text}");
        let memory = text
            .lines()
            .find_map(|line| line.strip_prefix("sallyport_process_memory_bytes "));
        assert!(
            memory.is_some_and(|bytes| bytes.parse::<i64>().unwrap() > 1 << 20),
            "{text}"
        );
    }
}
