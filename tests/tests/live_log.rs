//! Stories of an open log page: what a browser is told over server-sent events, cuts and all.

use contract::protocol::{Job, Outcome};
use orchestrator::run::Cause;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::orchestrator::Orchestrator;
use tests::visitor::{Event, Visitor};
use tests::worker::{Log, ScriptedWorker, enrol};

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";
const EVENTS: &str = "/projects/shop/runs/1/steps/unit/events";
const STEP: &str = "/projects/shop/runs/1/steps/unit";

/// What a page has seen: the last event's id, and the lines by attempt and number.
#[derive(Default)]
struct Page {
    at: Option<String>,
    attempt: i64,
    lines: Vec<(i64, u64, String)>,
    over: bool,
}

impl Page {
    fn take(&mut self, event: &Event) {
        self.at = Some(event.id.clone());
        match event.kind.as_str() {
            "attempt" => self.attempt = event.data["number"].as_i64().unwrap(),
            "state" => self.over = event.data["over"].as_bool().unwrap(),
            _ => {
                for item in event.data["items"].as_array().unwrap() {
                    let Some(line) = item.get("line") else {
                        continue;
                    };
                    let spans = line["spans"].as_array().unwrap().iter();
                    let text = spans.map(|span| span["text"].as_str().unwrap()).collect();
                    let number = line["number"].as_u64().unwrap();
                    self.lines.push((self.attempt, number, text));
                }
            }
        }
    }

    /// Reads events over one connection until so many lines are there, or the step is over.
    async fn follows(&mut self, visitor: &Visitor, lines: usize) {
        let mut events = visitor.events(EVENTS, self.at.as_deref()).await.unwrap();
        while self.lines.len() < lines && !self.over {
            let event = events.next().await.unwrap().expect("the stream goes on");
            self.take(&event);
        }
    }
}

async fn leased() -> (Orchestrator, ScriptedWorker, Job) {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    (server, worker, job)
}

#[tokio::test]
async fn a_page_that_is_cut_sees_each_line_once_through_a_retry() {
    let (server, worker, job) = leased().await;
    let visitor = server.visitor().await.unwrap();
    let mut page = Page {
        attempt: 1,
        ..Page::default()
    };
    let mut log = Log::default();
    // Chunks end where they like: inside a line, inside a character.
    let chunks: [&[u8]; 6] = [
        b"::section:: make all\none\nt",
        b"wo\n\n\xE2\x82",
        b"\xACuro\n",
        b"::section:: make check\n\x1b[31mre",
        b"d\x1b[0m\n\n\n",
        b"half a li",
    ];
    for (at, chunk) in chunks.iter().enumerate() {
        worker.prints_bytes(&job, &mut log, chunk).await.unwrap();
        // The page is cut, and comes back, at each of them.
        page.follows(&visitor, [1, 3, 4, 4, 7, 7][at]).await;
    }
    let lost = Outcome::Infrastructure {
        what: "the disk is full".to_owned(),
    };
    worker.reports(&job, &log, lost).await.unwrap();
    let again = worker.next_step().await.unwrap();
    let mut log = Log::default();
    worker
        .prints(&again, &mut log, "once more\n")
        .await
        .unwrap();
    page.follows(&visitor, 9).await;
    worker.prints(&again, &mut log, "done\n\n").await.unwrap();
    worker.reports(&again, &log, Outcome::Passed).await.unwrap();
    assert_eq!(server.ended(1).await.unwrap(), Cause::Passed);
    page.follows(&visitor, usize::MAX).await;

    let seen: Vec<(i64, u64, &str)> = page
        .lines
        .iter()
        .map(|(a, n, t)| (*a, *n, t.as_str()))
        .collect();
    let first = ["one", "two", "", "\u{20ac}uro", "red", "", "", "half a li"];
    let mut expected: Vec<(i64, u64, &str)> = (1..).zip(first).map(|(n, t)| (1, n, t)).collect();
    expected.extend([(2, 1, "once more"), (2, 2, "done"), (2, 3, "")]);
    assert_eq!(seen, expected);

    // A page that is loaded now has the same numbers.
    let first = visitor.page(&format!("{STEP}?attempt=1")).await.unwrap();
    let second = visitor.page(STEP).await.unwrap();
    for (attempt, number, text) in page.lines {
        let html = if attempt == 1 { &first } else { &second };
        let text = if text == "red" {
            "<span class=\"a31\">red</span>".to_owned()
        } else {
            text
        };
        let line = format!(
            "<li id=\"L{number}\"><a href=\"#L{number}\">{number}</a><span>{text}</span></li>"
        );
        assert!(html.contains(&line), "{line}");
    }
    assert!(first.contains("<span class=\"wrap\">make check</span>"));
    assert!(!second.contains("data-events"), "nothing more will come");
    server.stop().await;
}

#[tokio::test]
async fn a_line_is_in_the_open_page_soon_after_it_was_printed() {
    const LINES: usize = 40;
    let (server, worker, job) = leased().await;
    let visitor = server.visitor().await.unwrap();
    let mut events = visitor.events(EVENTS, None).await.unwrap();
    let reading = async {
        let (mut page, mut came) = (
            Page {
                attempt: 1,
                ..Page::default()
            },
            BTreeMap::new(),
        );
        while page.lines.len() < LINES {
            page.take(&events.next().await.unwrap().unwrap());
            for (_, number, _) in &page.lines {
                came.entry(*number).or_insert_with(Instant::now);
            }
        }
        came
    };
    let printing = async {
        let (mut log, mut printed) = (Log::default(), BTreeMap::new());
        for number in 1..=LINES {
            printed.insert(u64::try_from(number).unwrap(), Instant::now());
            worker
                .prints(&job, &mut log, &format!("line {number}\n"))
                .await
                .unwrap();
            // A step that prints now and then; not a wait for anything.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (log, printed)
    };
    let (came, (log, printed)) = tokio::join!(reading, printing);
    let mut took: Vec<Duration> = came
        .iter()
        .map(|(n, at)| at.duration_since(printed[n]))
        .collect();
    took.sort_unstable();
    let (middle, worst) = (took[LINES / 2], took[LINES - 1]);
    eprintln!("from print to event: median {middle:?}, slowest {worst:?} of {LINES} lines");
    assert!(middle < Duration::from_secs(1), "{middle:?}");
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    worker.reports(&job, &log, Outcome::Passed).await.unwrap();
    server.ended(1).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_long_log_shows_its_end_and_gives_the_rest_on_request() {
    let (server, worker, job) = leased().await;
    let visitor = server.visitor().await.unwrap();
    let mut log = Log::default();
    for chunk in 0..10 {
        let lines = (chunk * 1_000 + 1)..=(chunk * 1_000 + 1_000);
        let text: String = lines.map(|n| format!("this is line {n}\n")).collect();
        worker.prints(&job, &mut log, &text).await.unwrap();
    }
    let failed = Outcome::Failed {
        reason: "exit code 3".to_owned(),
        exit_code: Some(3),
    };
    worker.reports(&job, &log, failed).await.unwrap();
    server.ended(1).await.unwrap();

    let end = visitor.page(STEP).await.unwrap();
    assert!(
        end.contains("id=\"L10000\"")
            && end.contains("id=\"L9001\"")
            && !end.contains("id=\"L9000\"")
    );
    assert!(end.contains("9,000 lines (") && end.contains("exit code 3"));
    let link = end
        .split("before=")
        .nth(1)
        .unwrap()
        .split('#')
        .next()
        .unwrap();
    let before = visitor
        .page(&format!("{STEP}?before={link}"))
        .await
        .unwrap();
    assert!(
        before.contains("id=\"L9000\"")
            && before.contains("id=\"L8001\"")
            && !before.contains("id=\"L9001\"")
    );
    let middle = visitor.page(&format!("{STEP}?line=5000")).await.unwrap();
    assert!(middle.contains("id=\"L5000\"") && middle.contains("after these are not shown here"));
    assert!(
        middle.contains("id=\"L4500\"")
            && middle.contains("id=\"L5499\"")
            && !middle.contains("id=\"L5500\"")
    );
    let found = visitor.page(&format!("{STEP}?q=LINE+777")).await.unwrap();
    assert!(found.contains("11 lines with “LINE 777”") && found.contains("line=7779#L7779"));

    let raw = visitor.get(&format!("{STEP}/log")).await.unwrap();
    assert_eq!(raw.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(raw.headers()["x-content-type-options"], "nosniff");
    assert_eq!(raw.text().await.unwrap().lines().count(), 10_000);
    let bad = visitor
        .get(&format!("{EVENTS}?from=nowhere"))
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
    server.stop().await;
}
