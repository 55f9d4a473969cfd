//! A story can be followed through the log: each line carries the ids of what it is about, and no
//! secret is in any.

use orchestrator::identity::Role;
use orchestrator::telemetry::{Format, subscriber};
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tests::orchestrator::Orchestrator;
use tests::worker::enrol;

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The value of a field of a line: its own, or of one of its spans.
fn field(line: &Value, name: &str) -> Option<String> {
    let own = line["fields"].get(name);
    let spans = line["spans"].as_array();
    let of_span = || spans?.iter().find_map(|span| span.get(name));
    own.or_else(of_span)?.as_str().map(str::to_owned)
}

#[tokio::test]
async fn every_line_of_a_story_is_found_by_its_ids_and_no_secret_is_in_any() {
    let kept = Kept::default();
    let writer = kept.clone();
    // All that we say ourselves, down to the least of it; libraries as in production.
    let filter = "info,orchestrator=trace".parse().unwrap();
    let lines = subscriber(Format::Json, filter, move || writer.clone());
    tracing::subscriber::set_global_default(lines).unwrap();

    let server = Orchestrator::start().await.unwrap();
    let mara = server
        .person("mara", &[Role::Developer], false)
        .await
        .unwrap();
    let http = reqwest::Client::builder().build().unwrap();
    let url = server.url();
    let wrong = [("name", "mara"), ("password", "a wrong password, typed")];
    http.post(format!("{url}/sign-in"))
        .form(&wrong)
        .send()
        .await
        .unwrap();
    let asked = http
        .get(format!("{url}/api/v1/projects"))
        .bearer_auth(&mara.token);
    asked.send().await.unwrap();
    http.get(&url)
        .header("cookie", &mara.cookie)
        .send()
        .await
        .unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    worker.passes(&job).await.unwrap();
    server.ended(1).await.unwrap();
    let run = server.run(1).await.unwrap().unwrap();
    server.stop().await;

    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = |message: &str| {
        let found = lines
            .iter()
            .find(|line| line["fields"]["message"] == message);
        found.unwrap_or_else(|| panic!("no line says {message:?}:\n{text}"))
    };
    let delivery = field(line("a delivery was accepted"), "delivery.id").unwrap();
    assert!(
        field(line("a delivery was accepted"), "request.id").is_some(),
        "of which request"
    );
    let decided = line("a trigger was decided");
    assert_eq!(field(decided, "delivery.id").as_ref(), Some(&delivery));
    let trigger = field(decided, "trigger.id").unwrap();
    let made = line("a run was made");
    assert_eq!(field(made, "trigger.id"), Some(trigger));
    assert_eq!(field(made, "run.id").as_deref(), Some(run.id.as_str()));
    for message in ["a step was leased", "a step has ended"] {
        let line = line(message);
        assert_eq!(
            field(line, "run.id").as_deref(),
            Some(run.id.as_str()),
            "{message}"
        );
        assert_eq!(
            field(line, "step.id").as_deref(),
            Some(job.step_id.as_str()),
            "{message}"
        );
    }
    let ended = line("a run has ended");
    assert_eq!(field(ended, "run.id").as_deref(), Some(run.id.as_str()));
    assert_eq!(field(ended, "cause").as_deref(), Some("passed"));

    let cookie = mara.cookie.split_once('=').unwrap().1;
    let enrolment = token.split('.').nth(2).unwrap();
    let hook = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for secret in [
        cookie,
        mara.token.as_str(),
        enrolment,
        hook,
        "a wrong password, typed",
        "a password for stories",
    ] {
        assert!(!text.contains(secret), "a secret is in the log: {secret}");
    }
}
