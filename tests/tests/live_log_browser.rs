//! An open log page in a real browser: what is in its document, how soon, and what a cut makes of it.

use anyhow::{Context as _, ensure};
use contract::protocol::{Job, Outcome};
use orchestrator::clock::{Clock as _, SystemClock};
use orchestrator::run::Cause;
use std::time::{Duration, Instant};
use tests::house::PASSWORD;
use tests::orchestrator::Orchestrator;
use tests::screen::Screen;
use tests::worker::{Log, Refused, ScriptedWorker, enrol};

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";
const STEP: &str = "/projects/shop/runs/1/steps/unit";

/// How soon a line is in the open page after it was printed. On a machine that is busy with other tests
/// a few may be later.
const SOON_MS: i64 = 1_000;
const LATE_MAX: usize = 2;
/// Lines printed before the cut, while the page has no connection, and after it.
const LINES: [usize; 3] = [40, 25, 40];
const PATIENCE: Duration = Duration::from_secs(30);

/// Notes when each line came into the document (ms since 1970 UTC); a page that is loaded again has
/// forgotten it.
const WATCH: &str = "
window.came = {};
const note = () => {
  for (const line of document.querySelectorAll('.log li[id]')) window.came[line.id] ??= Date.now();
};
note();
new MutationObserver(note).observe(document.querySelector('.log'), { childList: true, subtree: true });
";
/// The lines of the document in its order, and when each came.
const READ: &str = "
if (!window.came) return null;
const lines = [...document.querySelectorAll('.log li[id]')];
return lines.map((line) => [line.id, line.lastElementChild.textContent, window.came[line.id]]);
";

/// A step that prints numbered lines.
struct Printer {
    worker: ScriptedWorker,
    job: Job,
    log: Log,
    /// When each line was sent (ms since 1970 UTC).
    printed: Vec<i64>,
}

impl Printer {
    async fn prints(&mut self, lines: usize) -> anyhow::Result<()> {
        for _ in 0..lines {
            self.printed.push(now());
            let text = format!("line {}\n", self.printed.len());
            taken(self.worker.prints(&self.job, &mut self.log, &text).await)?;
            // A step that prints now and then; not a wait for anything.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until the open page has every line once, in order; when each came.
    async fn all_are_in(&self, screen: &Screen) -> anyhow::Result<Vec<i64>> {
        let wanted: Vec<(String, String)> = (1..=self.printed.len())
            .map(|n| (format!("L{n}"), format!("line {n}")))
            .collect();
        let until = Instant::now() + PATIENCE;
        loop {
            let read = screen.runs(READ).await?;
            let read: Option<Vec<(String, String, i64)>> = serde_json::from_value(read)?;
            let read = read.context("the page was loaded again")?;
            let came = read.iter().map(|(_, _, at)| *at).collect();
            let shown: Vec<(String, String)> =
                read.into_iter().map(|(id, text, _)| (id, text)).collect();
            ensure!(
                wanted.starts_with(&shown),
                "lost, doubled or in another order: {shown:?}"
            );
            if shown.len() == wanted.len() {
                return Ok(came);
            }
            ensure!(
                Instant::now() < until,
                "{} of {} lines came",
                shown.len(),
                wanted.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the worker entrance answered, for `?`.
fn taken<T>(answer: Result<T, Refused>) -> anyhow::Result<T> {
    answer.map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
}

/// The clock that the browser has, too.
fn now() -> i64 {
    SystemClock.now().0 / 1_000
}

/// All but a few of these lines came soon after they were printed.
fn came_soon(printed: &[i64], came: &[i64], what: &str) -> anyhow::Result<()> {
    let mut took: Vec<i64> = printed
        .iter()
        .zip(came)
        .map(|(printed, came)| came - printed)
        .collect();
    took.sort_unstable();
    let late = took.iter().filter(|ms| **ms > SOON_MS).count();
    let (middle, slowest) = (took.get(took.len() / 2), took.last());
    eprintln!("{what}: from print to document {middle:?} ms, slowest {slowest:?} ms");
    ensure!(late <= LATE_MAX, "{what}: {late} lines came late: {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_shows_each_line_soon_and_once_through_a_restart() -> anyhow::Result<()> {
    let server = Orchestrator::start().await?;
    let token = server.enrolment_token().await?;
    let worker = enrol(&server.entrance(), &token, "demo-1").await?;
    taken(worker.hello(1).await)?;
    server.push(PIPELINE).await?;
    let printer = Printer {
        job: worker.next_step().await?,
        worker,
        log: Log::default(),
        printed: Vec::new(),
    };
    let screen = Screen::open(&server.url()).await?;
    let told = told(server, printer, &screen).await;
    // The browser ends however the story does.
    screen.close().await?;
    told
}

async fn told(server: Orchestrator, mut printer: Printer, screen: &Screen) -> anyhow::Result<()> {
    let [before, cut, after] = LINES;
    screen.sign_in("root", PASSWORD).await?;
    screen.goes(STEP).await?;
    screen.runs(WATCH).await?;
    printer.prints(before).await?;
    let came = printer.all_are_in(screen).await?;
    came_soon(&printer.printed, &came, "with a connection")?;

    let server = server.restart().await?;
    // The page tries again after a pause: these lines are printed while it has no connection.
    printer.prints(cut).await?;
    printer.all_are_in(screen).await?;
    let missed = printer.printed.len();
    printer.prints(after).await?;
    let came = printer.all_are_in(screen).await?;
    let (printed, came) = (printer.printed.get(missed..), came.get(missed..));
    came_soon(
        printed.unwrap_or_default(),
        came.unwrap_or_default(),
        "after the cut",
    )?;

    let (worker, job) = (&printer.worker, &printer.job);
    taken(worker.reports(job, &printer.log, Outcome::Passed).await)?;
    ensure!(server.ended(1).await? == Cause::Passed, "the run passes");
    screen.finds("[data-state] .badge.is-pass").await?;
    printer.all_are_in(screen).await?;
    server.stop().await;
    Ok(())
}
