//! Stories of the worker's own agent against the real entrance: its identity, lease and log, with
//! no container engine.

use contract::name::Name;
use contract::protocol::{
    Enrol, Hello, Isolation, JOB_PAYLOAD_TYPE, Job, LogEnd, Outcome, Report, Times,
};
use evidence::dsse;
use p256::ecdsa::SigningKey;
use std::sync::Arc;
use std::time::Duration;
use tests::orchestrator::Orchestrator;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::agent::{self, AgentError, Keys};
use worker::clock::SystemClock;
use worker::config::EntranceUrl;
use worker::control_plane::{ControlPlane, Said};
use worker::identity::{EnrolToken, FreshKey, Identity};
use worker::lease::{Denied, Ending, Lease};
use worker::redact::Secrets;
use worker::spool::Log;

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
";
/// No story waits longer for anything.
const BOUND: Duration = Duration::from_secs(30);

/// An enrolled worker that holds one lease.
struct Holder {
    plane: ControlPlane,
    keys: Keys,
    job: Job,
    folder: tempfile::TempDir,
}

fn isolation() -> Isolation {
    Isolation {
        level: "docker-runc".to_owned(),
        rules: Vec::new(),
    }
}

impl Holder {
    async fn of(server: &Orchestrator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entrance = EntranceUrl::try_from(server.entrance()).unwrap();
        let name = Name::parse("demo-1").unwrap();
        let token = EnrolToken::parse(&server.enrolment_token().await.unwrap()).unwrap();
        let fresh = FreshKey::make(&name).unwrap();
        let enrol = Enrol {
            token: token.credential.to_string(),
            name: name.clone(),
            signing_request: fresh.signing_request.clone(),
        };
        let said = ControlPlane::enrol(&entrance, token.pin, &enrol).await;
        let Said::Granted(enrolled) = said.unwrap() else {
            panic!("the token is good");
        };
        fresh.store(folder.path(), &enrolled).unwrap();
        let identity = Identity::load(folder.path()).unwrap();
        let plane = ControlPlane::connect(entrance, &identity).unwrap();
        let hello = Hello {
            version: "0".to_owned(),
            isolation: isolation(),
            slots: 1,
            restarted: true,
        };
        assert!(matches!(plane.hello(&hello).await, Ok(Said::Granted(()))));
        server.push(PIPELINE).await.unwrap();
        let Ok(Said::Granted(Some(envelope))) = plane.claim().await else {
            panic!("a step is ready");
        };
        let other = Keys::of(&identity, Name::parse("demo-2").unwrap()).unwrap();
        assert!(
            matches!(other.open(&envelope), Err(AgentError::ForAnother(_))),
            "a job is for one worker"
        );
        let keys = Keys::of(&identity, name).unwrap();
        let job = keys.open(&envelope).unwrap();
        // The same job, signed by somebody else.
        let payload = serde_json::to_vec(&job).unwrap();
        let foreign = SigningKey::from_slice(&[9; 32]).unwrap();
        let foreign = dsse::sign(JOB_PAYLOAD_TYPE, &payload, &foreign).unwrap();
        let foreign = keys.open(&serde_json::to_vec(&foreign).unwrap());
        assert!(
            matches!(foreign, Err(AgentError::NotSigned(_))),
            "{foreign:?}"
        );
        Self {
            plane,
            keys,
            job,
            folder,
        }
    }

    fn lease(&self, fence: i64) -> Lease {
        let client = self.plane.lease(&self.job.step_id, fence);
        Lease::new(client, BOUND, &CancellationToken::new())
    }

    fn report(&self, log: LogEnd) -> Vec<u8> {
        let report = Report {
            step_id: self.job.step_id.clone(),
            fence: self.job.fence,
            outcome: Outcome::Passed,
            log,
            artifacts: Vec::new(),
            images: Vec::new(),
            tools: Vec::new(),
            isolation: isolation(),
            times: Times {
                claimed_at: 1,
                started_at: None,
                first_output_at: None,
                ended_at: 2,
            },
            network: false,
            complaints: Vec::new(),
        };
        self.keys.seal(&report).unwrap()
    }
}

#[tokio::test]
async fn what_is_printed_while_the_orchestrator_is_away_arrives_once() {
    let server = Orchestrator::start().await.unwrap();
    let holder = Holder::of(&server).await;
    let lease = holder.lease(holder.job.fence);
    let path = holder.folder.path().join("log");
    let log = Log::create(path, Secrets::default(), Arc::new(SystemClock)).unwrap();
    let sending = TaskTracker::new().spawn(agent::send(lease.clone(), log.sender()));
    let printing = async {
        let mut stream = log.stream();
        for line in 0..200 {
            stream.write(format!("line {line}\n").as_bytes());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ((), server) = tokio::join!(printing, server.restart());
    let server = server.unwrap();
    log.close();
    let sent = tokio::time::timeout(BOUND, sending).await.unwrap();
    let envelope = holder.report(sent.unwrap().unwrap().end);
    let client = lease.client();
    lease
        .say(|| async { client.report(&envelope).await })
        .await
        .unwrap();
    let expected: String = (0..200).map(|line| format!("line {line}\n")).collect();
    assert_eq!(server.log(1, "unit").await.unwrap(), expected);
    assert_eq!(
        server.ended(1).await.unwrap(),
        orchestrator::run::Cause::Passed
    );
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_ends_the_work_and_the_worker_may_still_say_so() {
    let server = Orchestrator::start().await.unwrap();
    let holder = Holder::of(&server).await;
    let lease = holder.lease(holder.job.fence);
    let done = CancellationToken::new();
    let keeping = {
        let (lease, done) = (lease.clone(), done.clone());
        TaskTracker::new().spawn(async move { lease.keep(Duration::from_millis(200), &done).await })
    };
    server.cancel(1).await.unwrap();
    tokio::time::timeout(BOUND, lease.work().cancelled())
        .await
        .unwrap();
    assert_eq!(lease.ending(), Some(Ending::Cancelled));
    assert!(!lease.is_mute());
    done.cancel();
    keeping.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_lease_of_another_fence_is_lost_and_says_nothing_more() {
    let server = Orchestrator::start().await.unwrap();
    let holder = Holder::of(&server).await;
    let lease = holder.lease(holder.job.fence + 1);
    let client = lease.client();
    let said = lease.say(|| async { client.heartbeat("x").await }).await;
    assert!(matches!(said, Err(Denied::Over(_))));
    assert_eq!(lease.ending(), Some(Ending::Lost));
    assert!(lease.is_mute());
    server.stop().await;
}
