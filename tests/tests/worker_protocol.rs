//! Stories of the worker entrance: real TLS, a whole orchestrator, a worker that plays a script.

use contract::level::Level;
use contract::protocol::{Outcome, RefusalCode};
use orchestrator::run::Cause;
use orchestrator::step::StepState;
use reqwest::{Method, StatusCode};
use std::time::{Duration, Instant};
use tests::orchestrator::Orchestrator;
use tests::worker::{Log, enrol, report};

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
  more:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
    needs: [unit]
";

#[tokio::test]
async fn a_push_becomes_green_over_the_wire() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(2).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    for name in ["unit", "more"] {
        let job = worker.next_step().await.unwrap();
        assert_eq!((job.step.as_str(), job.run_number), (name, 1));
        assert_eq!(job.env["SALLYPORT_BRANCH"], "main");
        worker.passes(&job).await.unwrap();
    }
    assert_eq!(server.ended(1).await.unwrap(), Cause::Passed);
    assert_eq!(server.log(1, "unit").await.unwrap(), "all is well\n");
    server.stop().await;
}

#[tokio::test]
async fn a_worker_that_claims_more_than_was_granted_is_believed_no_more_than_that() {
    let server = Orchestrator::start().await.unwrap();
    let granted = Level::parse("docker-runc").unwrap();
    let token = server.enrolment_token_granting(granted).await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.claims_level(1, "docker-runsc-userns").await.unwrap();
    let shown = async || {
        let visitor = server.visitor().await.unwrap();
        let page = visitor.page("/workers").await.unwrap();
        let tags = regex::Regex::new("<[^>]*>").unwrap();
        tags.replace_all(&page, "").into_owned()
    };
    let text = shown().await;
    for said in [
        "Isolationdocker-runc it claims docker-runsc-userns",
        "Grantedat most docker-runc",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // The self-test can only lower it.
    let token = server.enrolment_token().await.unwrap();
    let other = enrol(&server.entrance(), &token, "demo-2").await.unwrap();
    other.claims_level(1, "docker-runc").await.unwrap();
    let text = shown().await;
    assert!(text.contains("Isolationdocker-runc\n"), "{text}");
    assert!(text.contains("Grantedat most docker-runc-userns"), "{text}");
    // What is no level at all is refused.
    let refused = other.claims_level(1, "the very best").await.unwrap_err();
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn a_claim_that_waits_gets_a_step_as_soon_as_there_is_one() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    let pushed = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.push(PIPELINE).await.unwrap();
        Instant::now()
    };
    let claimed = async { (worker.next_step().await.unwrap(), Instant::now()) };
    let (pushed, (job, came)) = tokio::join!(pushed, claimed);
    assert_eq!(job.step.as_str(), "unit");
    assert!(came.duration_since(pushed) < Duration::from_secs(2));
    server.stop().await;
}

#[tokio::test]
async fn the_orchestrator_restarts_in_the_middle_of_a_step() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    let mut log = Log::default();
    worker.prints(&job, &mut log, "before\n").await.unwrap();

    let server = server.restart().await.unwrap();
    worker.beats(&job).await.unwrap();
    worker.prints(&job, &mut log, "after\n").await.unwrap();
    worker.reports(&job, &log, Outcome::Passed).await.unwrap();
    let job = worker.next_step().await.unwrap();
    worker.passes(&job).await.unwrap();
    assert_eq!(server.ended(1).await.unwrap(), Cause::Passed);
    assert_eq!(server.log(1, "unit").await.unwrap(), "before\nafter\n");
    server.stop().await;
}

#[tokio::test]
async fn the_door_opens_only_with_a_certificate_of_ours_that_is_not_revoked() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();

    let stranger = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let url = format!("{}/worker/v1/claim", server.entrance());
    let spoken = stranger
        .post(&url)
        .header("Sallyport-Protocol", "1")
        .body("{\"wait_ms\":0}");
    assert_eq!(spoken.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let other = stranger
        .post(&url)
        .header("Sallyport-Protocol", "2")
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(other.headers()["sallyport-protocol"], "1");
    let plain = url.replace("https", "http");
    assert!(
        stranger.post(&plain).send().await.is_err(),
        "plain http does not exist here"
    );

    server.revoke("demo-1").await.unwrap();
    let refused = worker.claim(0).await.unwrap_err();
    assert_eq!(
        refused,
        (StatusCode::FORBIDDEN, Some(RefusalCode::NotPermitted))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_token_lets_one_worker_in_and_the_same_worker_again() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    // The answer was lost: the same key asks again.
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    assert!(
        enrol(&server.entrance(), &token, "demo-2").await.is_err(),
        "used"
    );
    let other = server.enrolment_token().await.unwrap();
    assert!(
        enrol(&server.entrance(), &other, "demo-1").await.is_err(),
        "the name is taken"
    );
    let forged = token.replace('.', ".0");
    assert!(
        enrol(&server.entrance(), &forged, "demo-3").await.is_err(),
        "no such token"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_report_of_another_key_and_bytes_of_another_hash_are_refused() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let mut worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    let log = Log::default();
    let wrong_hash = format!(
        "leases/{}/{}/artifacts/0?name=files/a&sha256={}",
        job.step_id,
        job.fence,
        "0".repeat(64)
    );
    let refused = worker
        .send(Method::PUT, &wrong_hash, b"a".to_vec())
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        (StatusCode::CONFLICT, Some(RefusalCode::OutOfOrder))
    );
    worker.uploads(&job, 0, "files/a", b"a").await.unwrap();

    let own = worker.key.clone();
    worker.key = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let refused = worker
        .reports(&job, &log, Outcome::Passed)
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        (StatusCode::FORBIDDEN, Some(RefusalCode::NotPermitted))
    );
    worker.key = own;
    let stale = contract::protocol::Job {
        fence: 9,
        ..job.clone()
    };
    let refused = worker
        .sends(&stale, &report(&stale, &log, Outcome::Passed))
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        (StatusCode::CONFLICT, Some(RefusalCode::LeaseLost))
    );
    let steps = server.steps(1).await.unwrap();
    assert!(matches!(steps[0].1, StepState::Leased(_)));
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_is_told_to_the_worker_and_ends() {
    let server = Orchestrator::start().await.unwrap();
    let token = server.enrolment_token().await.unwrap();
    let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
    worker.hello(1).await.unwrap();
    server.push(PIPELINE).await.unwrap();
    let job = worker.next_step().await.unwrap();
    server.cancel(1).await.unwrap();
    assert!(worker.beats(&job).await.unwrap().cancel);
    worker
        .reports(&job, &Log::default(), Outcome::Cancelled)
        .await
        .unwrap();
    assert_eq!(
        server.ended(1).await.unwrap(),
        Cause::Cancelled {
            by: "system".to_owned()
        }
    );
    server.stop().await;
}

/// The worker program's own client, with its pin, against the real entrance.
#[tokio::test]
async fn the_worker_programs_own_client_enrols_by_the_pin_and_is_understood() {
    use worker::config::EntranceUrl;
    use worker::control_plane::{ControlPlane, Said};
    use worker::identity::{EnrolToken, FreshKey, Identity};
    let server = Orchestrator::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let entrance = EntranceUrl::try_from(server.entrance()).unwrap();
    let name = contract::name::Name::parse("demo-1").unwrap();
    let token = EnrolToken::parse(&server.enrolment_token().await.unwrap()).unwrap();
    let key = FreshKey::make(&name).unwrap();
    let ask = contract::protocol::Enrol {
        token: token.credential.to_string(),
        name,
        signing_request: key.signing_request.clone(),
    };
    let other = contract::digest::Digest::of(b"another CA");
    assert!(
        ControlPlane::enrol(&entrance, other, &ask).await.is_err(),
        "the pin decides"
    );
    let said = ControlPlane::enrol(&entrance, token.pin, &ask)
        .await
        .unwrap();
    let Said::Granted(enrolled) = said else {
        panic!("the token is good");
    };
    key.store(folder.path(), &enrolled).unwrap();
    let plane = ControlPlane::connect(entrance, &Identity::load(folder.path()).unwrap()).unwrap();
    let isolation = contract::protocol::Isolation {
        level: "docker-runc".to_owned(),
        rules: Vec::new(),
    };
    let hello = contract::protocol::Hello {
        version: "0".to_owned(),
        isolation,
        slots: 1,
        restarted: true,
    };
    assert!(matches!(
        plane.hello(&hello).await.unwrap(),
        Said::Granted(())
    ));
    server.push(PIPELINE).await.unwrap();
    let Said::Granted(Some(envelope)) = plane.claim().await.unwrap() else {
        panic!("a step is ready");
    };
    assert!(!envelope.is_empty());
    server.stop().await;
}
