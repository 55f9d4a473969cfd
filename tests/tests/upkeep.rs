//! What whoever looks after a server asks it: is it ready, and what has it done.

use orchestrator::identity::Role;
use reqwest::Client;
use std::time::{Duration, Instant};
use tests::orchestrator::Orchestrator;
use tests::worker::enrol;

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";

async fn metrics(admin: &Client) -> String {
    let response = admin.get("http://localhost/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

/// The value of one line.
fn value(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn what_a_run_does_is_counted() {
    let server = Orchestrator::start().await.unwrap();
    let admin = Client::builder()
        .unix_socket(server.open_admin().unwrap())
        .build()
        .unwrap();
    let before = metrics(&admin).await;
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    let during = metrics(&admin).await;
    worker.passes(&job).await.unwrap();
    server.ended(1).await.unwrap();
    let refused = Client::builder()
        .build()
        .unwrap()
        .post(format!("{}/hooks/nothing", server.url()));
    assert_eq!(refused.body("x").send().await.unwrap().status(), 401);
    let after = metrics(&admin).await;

    // Other stories of this process count, too: what is looked at is the difference.
    let more = |name: &str| value(&after, name) - value(&before, name);
    assert!(more("sallyport_delivery_received_total{outcome=\"accepted\"}") >= 1.0);
    assert!(more("sallyport_delivery_refused_total{reason=\"unknown-hook\"}") >= 1.0);
    assert!(more("sallyport_trigger_decided_total{decision=\"start\"}") >= 1.0);
    assert!(more("sallyport_run_ended_total{cause=\"passed\"}") >= 1.0);
    assert!(more("sallyport_step_queue_wait_seconds_count") >= 1.0);
    assert!(more("sallyport_step_work_seconds_count{kind=\"run\"}") >= 1.0);
    assert!(more("sallyport_db_write_seconds_count{outcome=\"kept\"}") >= 5.0);
    assert!(more("sallyport_db_group_writes_count") >= 1.0);
    assert!(value(&during, "sallyport_step_open_steps{state=\"leased\"}") >= 1.0);
    assert!(value(&after, "sallyport_process_memory_bytes") > 1e6);
    for stage in [
        "delivery",
        "trigger",
        "run",
        "step",
        "image",
        "finding",
        "attestation",
        "promotion",
    ] {
        let name = format!("sallyport_reconcile_pass_seconds_count{{stage=\"{stage}\"}}");
        assert!(value(&after, &name) >= 1.0, "{stage}");
    }
    // No id and no name of anybody is a label.
    let run = server.run(1).await.unwrap().unwrap();
    for id in [run.id.as_str(), job.step_id.as_str(), "shop", "demo-1"] {
        assert!(!after.contains(id), "{id} is in the metrics");
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_for_the_host_unless_the_configuration_says_more() {
    let closed = Orchestrator::start().await.unwrap();
    let auditor = closed
        .person("vera", &[Role::Auditor], false)
        .await
        .unwrap();
    let ask = |url: String, token: Option<String>| async move {
        let request = Client::builder()
            .build()
            .unwrap()
            .get(format!("{url}/metrics"));
        let request = token
            .into_iter()
            .fold(request, reqwest::RequestBuilder::bearer_auth);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(closed.url(), Some(auditor.token)).await, 404);
    closed.stop().await;

    let open = Orchestrator::start_with_metrics().await.unwrap();
    let auditor = open.person("vera", &[Role::Auditor], false).await.unwrap();
    let in_shop = open.person("mara", &[Role::Developer], true).await.unwrap();
    assert_eq!(ask(open.url(), None).await, 401);
    assert_eq!(
        ask(open.url(), Some(in_shop.token)).await,
        403,
        "sees one project only"
    );
    assert_eq!(ask(open.url(), Some(auditor.token)).await, 200);
    open.stop().await;
}

#[tokio::test]
async fn ready_means_that_it_can_read_write_and_pass() {
    let server = Orchestrator::start().await.unwrap();
    let ask = || async {
        let response = reqwest::get(format!("{}/readyz", server.url()))
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let until = Instant::now() + Duration::from_secs(10);
    while ask().await.0 != 200 {
        assert!(Instant::now() < until, "{:?}", ask().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ask().await, (200, "ready\n".to_owned()));

    // A stage that is to run and does not, then a database that takes no more writes.
    server.app().health.expect("nothing");
    assert_eq!(
        ask().await,
        (503, "stage nothing: no pass yet\n".to_owned())
    );
    server.app().ground.db.close().await;
    let (status, said) = ask().await;
    assert_eq!(status, 503);
    assert!(
        said.contains("the database does not answer\nthe database cannot be written\n"),
        "{said}"
    );
    server.stop().await;
}
