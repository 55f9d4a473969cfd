//! The shop floor of the stories: a database with a project, runs, workers with keys, a clock that
//! is stepped, and later rooms that say what they are told to.

use crate::blob::Blobs;
use crate::clock::{At, SteppedClock};
use crate::db::{self, Conn, Db};
use crate::fleet::{self, Worker};
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::Actor;
use crate::reconcile::{Gong, Progress};
use crate::run::{self, Cause, Plan, PlannedStep, PlannedWork, RunId};
use crate::step::{
    Appended, ArtifactAsk, ArtifactName, ArtifactStored, Chunk, Claimed, Hands, LeaseKey, Logs,
    Observation, ObservedImages, Reported, Right, StepId, Verdict, Verdicts,
};
use bytes::Bytes;
use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::level::Level;
use contract::name::Name;
use contract::protocol::{
    ArtifactClaim, Enrol, Hello, Isolation, Job, LogEnd, Outcome, REPORT_PAYLOAD_TYPE,
    RegistryTokenRequest, Report, Resources, Times,
};
use futures::future::BoxFuture;
use p256::ecdsa::SigningKey;
use p256::pkcs8::EncodePrivateKey as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A step's state without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepAt {
    Blocked,
    Ready,
    Leased,
    Reported,
    Finished(Cause),
    Skipped(Cause),
}

pub(super) fn at(name: &str, state: StepAt) -> (String, StepAt) {
    (name.to_owned(), state)
}

/// A worker with its key.
pub(super) struct TestWorker {
    pub(super) worker: Worker,
    key: SigningKey,
}

impl TestWorker {
    pub(super) fn signs(&self, report: &Report) -> Vec<u8> {
        let payload = serde_json::to_vec(report).unwrap();
        let envelope = evidence::dsse::sign(REPORT_PAYLOAD_TYPE, &payload, &self.key).unwrap();
        serde_json::to_vec(&envelope).unwrap()
    }
}

/// Later rooms: they answer what they are told to.
#[derive(Clone)]
struct Later(Arc<Mutex<(Verdict, Observation)>>);

impl Verdicts for Later {
    fn verdict<'a>(
        &'a self,
        _: &'a mut Conn,
        _: &'a StepId,
        _: i64,
    ) -> BoxFuture<'a, Result<Verdict, db::Error>> {
        let answer = self.0.lock().unwrap().0.clone();
        Box::pin(async move { Ok(answer) })
    }
}

impl ObservedImages for Later {
    fn observation<'a>(
        &'a self,
        _: &'a mut Conn,
        _: &'a StepId,
        _: i64,
    ) -> BoxFuture<'a, Result<Observation, db::Error>> {
        let answer = self.0.lock().unwrap().1.clone();
        Box::pin(async move { Ok(answer) })
    }

    fn image<'a>(
        &'a self,
        _: &'a mut Conn,
        _: &'a RunId,
        _: &'a Name,
    ) -> BoxFuture<'a, Result<Option<ImageRef>, db::Error>> {
        Box::pin(async move { Ok(None) })
    }
}

pub(super) struct Floor {
    pub(super) ground: Ground,
    pub(super) hands: Hands,
    clock: Arc<SteppedClock>,
    keys: Arc<fleet::Keys>,
    later: Later,
    folder: Arc<tempfile::TempDir>,
}

impl Floor {
    pub(super) async fn new(db: Db) -> Self {
        let clock = Arc::new(SteppedClock::new(At(1_790_000_000_000_000)));
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let ground = Ground {
            db,
            clock: clock.clone(),
            ids,
        };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let later = Later(Arc::new(Mutex::new((
            Verdict::Passed,
            Observation::Observed,
        ))));
        let (ca, envelope) = (key(1), key(2));
        let certificate = fleet::ca::certify(&ca, "i", ground.now()).unwrap();
        let keys = Arc::new(fleet::Keys::load(&ca, &certificate, envelope).unwrap());
        let hands = hands(&folder, &later, At(0));
        let floor = Self {
            ground,
            hands,
            clock,
            keys,
            later,
            folder,
        };
        floor.project("shop").await;
        floor
    }

    /// The process ends and starts again: what was only in memory is gone.
    pub(super) fn restarts(self) -> Self {
        let hands = hands(&self.folder, &self.later, self.ground.now());
        Self { hands, ..self }
    }

    pub(super) fn later(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    pub(super) fn says(&self, verdict: Verdict, observation: Observation) {
        *self.later.0.lock().unwrap() = (verdict, observation);
    }

    /// Passes until nothing moves.
    pub(super) async fn pass(&self) {
        for _ in 0..20 {
            if super::super::pass(&self.ground, &self.hands).await.unwrap() == Progress::Idle {
                return;
            }
        }
        panic!("the pass finds no end");
    }

    pub(super) async fn run(&self, steps: &[(&str, &[&str])]) -> RunId {
        self.run_with(steps, 4).await
    }

    pub(super) async fn run_with(&self, steps: &[(&str, &[&str])], parallel: u32) -> RunId {
        self.insert_run("shop", plan(steps, parallel)).await
    }

    pub(super) async fn run_of(
        &self,
        project: &str,
        steps: &[(&str, &[&str])],
        parallel: u32,
    ) -> RunId {
        self.project(project).await;
        self.insert_run(project, plan(steps, parallel)).await
    }

    pub(super) async fn run_with_effects(&self, name: &str) -> RunId {
        let mut plan = plan(&[(name, &[])], 4);
        plan.steps[0].effects_outside = true;
        self.insert_run("shop", plan).await
    }

    pub(super) async fn cancels(&self, run: &RunId) {
        run::cancel(&self.ground, run, &Actor::System)
            .await
            .unwrap();
    }

    pub(super) async fn run_ended(&self, run: &RunId) -> Option<Cause> {
        let mut conn = self.ground.db.reader().await.unwrap();
        super::ended(run::by_id(&mut conn, run).await.unwrap().unwrap().state)
    }

    pub(super) async fn steps(&self, run: &RunId) -> Vec<(String, StepAt)> {
        let mut conn = self.ground.db.reader().await.unwrap();
        let steps = super::super::list(&mut conn, run).await.unwrap();
        steps
            .into_iter()
            .map(|s| (s.name.to_string(), super::shown(s.state)))
            .collect()
    }

    /// A worker that was let in with a real token and request.
    pub(super) async fn enrolled(&self, name: &str) -> TestWorker {
        let mut random = [0; 32];
        self.ground.ids.random(&mut random);
        let key = SigningKey::from_slice(&random).unwrap();
        let level = Level::of_our_own_engine();
        let minted = fleet::mint(&self.ground, &self.keys.ca, &Actor::System, level)
            .await
            .unwrap();
        let parts: Vec<&str> = minted.text.split('.').collect();
        let name = Name::parse(name).unwrap();
        let ask = Enrol {
            token: format!("{}.{}", parts[1], parts[2]),
            name: name.clone(),
            signing_request: signing_request(&key),
        };
        let enrolment = fleet::enrol(&self.ground, &self.keys.ca, &ask)
            .await
            .unwrap();
        assert!(matches!(enrolment, fleet::Enrolment::LetIn { .. }));
        let mut conn = self.ground.db.reader().await.unwrap();
        let worker = fleet::by_name(&mut conn, &name).await.unwrap().unwrap();
        TestWorker { worker, key }
    }

    pub(super) async fn worker(&self, name: &str, slots: u32) -> TestWorker {
        let worker = self.enrolled(name).await;
        let isolation = Isolation {
            level: "docker-runc".to_owned(),
            rules: Vec::new(),
        };
        let hello = Hello {
            version: "0".to_owned(),
            isolation,
            slots,
            restarted: true,
        };
        assert!(
            fleet::hello(&self.ground, &worker.worker.id, &hello)
                .await
                .unwrap()
        );
        worker
    }

    pub(super) async fn drains(&self, worker: &TestWorker) {
        let id = &worker.worker.id;
        fleet::drain(&self.ground, id, true, &Actor::System)
            .await
            .unwrap();
    }

    pub(super) async fn claim(&self, worker: &TestWorker) -> Claimed {
        super::super::claim(&self.ground, &self.hands, &worker.worker)
            .await
            .unwrap()
    }

    pub(super) async fn claims(&self, worker: &TestWorker) -> Job {
        match self.claim(worker).await {
            Claimed::Leased(job) => *job,
            other @ (Claimed::Nothing | Claimed::NoHello) => panic!("wanted a step, got {other:?}"),
        }
    }

    pub(super) fn key(&self, worker: &TestWorker, job: &Job) -> LeaseKey {
        super::key_of(worker, job)
    }

    /// Appends a chunk whose running hash is that of `all`.
    pub(super) async fn append(
        &self,
        key: &LeaseKey,
        sequence: i64,
        offset: i64,
        bytes: &[u8],
        all: &[u8],
    ) -> Appended {
        let bytes = Bytes::copy_from_slice(bytes);
        let chunk = Chunk {
            sequence,
            offset,
            sha256: Digest::of(all),
            bytes,
        };
        self.hands
            .logs
            .append(&self.ground, key, chunk)
            .await
            .unwrap()
    }

    pub(super) async fn prints(&self, worker: &TestWorker, job: &Job, chunks: &[&str]) {
        let key = self.key(worker, job);
        let mut all = Vec::new();
        for (sequence, chunk) in chunks.iter().enumerate() {
            let offset = i64::try_from(all.len()).unwrap();
            all.extend_from_slice(chunk.as_bytes());
            let sequence = i64::try_from(sequence).unwrap();
            let came = self
                .append(&key, sequence, offset, chunk.as_bytes(), &all)
                .await;
            assert!(matches!(came, Appended::Durable(_)), "{came:?}");
        }
    }

    pub(super) fn tampers_with_log(&self, job: &Job) {
        let logs = self.folder.path().join("logs");
        let path = logs
            .join(&job.step_id)
            .join(job.fence.to_string())
            .join("0000.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }

    pub(super) async fn uploads(
        &self,
        key: &LeaseKey,
        sequence: i64,
        name: &str,
        bytes: &'static [u8],
    ) -> ArtifactStored {
        self.upload(key, sequence, name, Digest::of(bytes), bytes)
            .await
    }

    pub(super) async fn uploads_other(&self, key: &LeaseKey) -> ArtifactStored {
        self.upload(key, 1, "files/x", Digest::of(b"x"), b"y").await
    }

    async fn upload(
        &self,
        key: &LeaseKey,
        sequence: i64,
        name: &str,
        digest: Digest,
        bytes: &'static [u8],
    ) -> ArtifactStored {
        let name = ArtifactName::parse(name).unwrap();
        let ask = ArtifactAsk {
            sequence,
            name,
            digest,
        };
        let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(bytes))]);
        key.store_artifact(&self.ground, &self.hands.blobs, ask, body)
            .await
            .unwrap()
    }

    /// Reports with the log as it is durable.
    pub(super) async fn report(
        &self,
        worker: &TestWorker,
        job: &Job,
        outcome: Outcome,
    ) -> Reported {
        let key = self.key(worker, job);
        let end = self
            .hands
            .logs
            .end(&self.ground, &key.step, key.fence)
            .await
            .unwrap();
        let log = self
            .hands
            .logs
            .read(&self.ground, &key.step, key.fence, 0)
            .await
            .unwrap();
        let mut report = report(job, outcome, &[]);
        report.log = LogEnd {
            chunks: end.chunks,
            bytes: end.bytes,
            sha256: Digest::of(&log.bytes),
            dropped_bytes: 0,
        };
        self.sends(worker, &key, &report).await
    }

    pub(super) async fn reports(&self, worker: &TestWorker, job: &Job, outcome: Outcome) {
        assert_eq!(self.report(worker, job, outcome).await, Reported::Stored);
    }

    pub(super) async fn sends(
        &self,
        worker: &TestWorker,
        key: &LeaseKey,
        report: &Report,
    ) -> Reported {
        let envelope = worker.signs(report);
        let logs = &self.hands.logs;
        super::super::report(&self.ground, logs, &worker.worker, key, envelope)
            .await
            .unwrap()
    }

    pub(super) async fn right(&self, key: &LeaseKey, repository: &str) -> Right {
        self.wish(key, repository, false).await
    }

    pub(super) async fn push_right(&self, key: &LeaseKey, repository: &str) -> Right {
        self.wish(key, repository, true).await
    }

    async fn wish(&self, key: &LeaseKey, repository: &str, push: bool) -> Right {
        let repository = Repository::parse(repository).unwrap();
        let wish = RegistryTokenRequest { repository, push };
        super::super::right(&self.ground, &self.hands, key, &wish)
            .await
            .unwrap()
    }

    async fn project(&self, name: &str) {
        let name = name.to_owned();
        let write = self.ground.db.write("test.project", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                     VALUES ($1, $1, 1, 1, 0, 0)",
                    &name
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO hook (id, project_id, provider, created_at) VALUES ($1, $1, 'git', 1)",
                    &name
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
    }

    async fn insert_run(&self, project: &str, plan: Plan) -> RunId {
        let (id, project) = (RunId::new(self.ground.ids.as_ref()), project.to_owned());
        let (run, now) = (id.clone(), self.ground.now());
        let plan = serde_json::to_string(&plan).unwrap();
        let write = self.ground.db.write("test.run", move |conn| {
            Box::pin(async move { insert_run(conn, &run, &project, &plan, now).await })
        });
        write.await.unwrap();
        id
    }
}

async fn insert_run(
    conn: &mut Conn,
    run: &RunId,
    project: &str,
    plan: &str,
    now: At,
) -> Result<(), db::Error> {
    crate::execute!(
        conn,
        "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
             body_digest, body_bytes, signature, secret_id, address, received_at, audit_id)
         VALUES ($1, $2, $2, 'git', $1, 'push', '{}', 'sha256:', 0, '', 's', $3, 1, 'a')",
        run.as_str(),
        project,
        vec![0_u8; 16]
    )?;
    crate::execute!(
        conn,
        "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
             detail, trust, settings_version, decided_at)
         VALUES ($1, $1, $2, 'refs/heads/main', 'c', 'start', 'push', '', 'trusted', 1, 1)",
        run.as_str(),
        project
    )?;
    crate::execute!(
        conn,
        "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
             commit_title, commit_time, author_name, author_email, committer_email, trust,
             settings_version, pipeline_path, plan, source_digest, source_bytes, state, created_at)
         VALUES ($1, $2, 1, $1, 1, 'refs/heads/main', $3, 'one', 1, 'n', 'e', 'e', 'trusted', 1,
             '.sallyport.yml', $4, $5, 0, 'waiting', $6)",
        run.as_str(),
        project,
        "a1".repeat(20),
        plan,
        Digest::of(b"").to_string(),
        now.0
    )?;
    Ok(())
}

/// A report over these chunks.
pub(super) fn report(job: &Job, outcome: Outcome, chunks: &[&str]) -> Report {
    let all = chunks.concat();
    Report {
        step_id: job.step_id.clone(),
        fence: job.fence,
        outcome,
        log: LogEnd {
            chunks: i64::try_from(chunks.len()).unwrap(),
            bytes: i64::try_from(all.len()).unwrap(),
            sha256: Digest::of(all.as_bytes()),
            dropped_bytes: 0,
        },
        artifacts: Vec::new(),
        images: Vec::new(),
        tools: Vec::new(),
        isolation: Isolation {
            level: "docker-runc".to_owned(),
            rules: Vec::new(),
        },
        times: Times {
            claimed_at: 1,
            started_at: Some(2),
            first_output_at: None,
            ended_at: 3,
        },
        network: false,
        complaints: Vec::new(),
    }
}

pub(super) fn claim(name: &str, bytes: &[u8]) -> ArtifactClaim {
    let digest = Digest::of(bytes);
    ArtifactClaim {
        name: name.to_owned(),
        digest,
        bytes: bytes.len() as u64,
    }
}

fn plan(steps: &[(&str, &[&str])], parallel_steps: u32) -> Plan {
    let digest = "0".repeat(64);
    let image = ImageRef::parse(&format!("registry.example/base/python@sha256:{digest}")).unwrap();
    let name = |text: &&str| Name::parse(text).unwrap();
    let step = |(step, needs): &(&str, &[&str])| PlannedStep {
        name: name(step),
        needs: needs.iter().map(name).collect(),
        work: PlannedWork::Run {
            image: image.clone(),
            command: vec!["true".to_owned()],
        },
        env: std::collections::BTreeMap::new(),
        resources: Resources {
            cpu_milli: 1,
            memory_bytes: 1,
            pids: 1,
            work_bytes: 1,
        },
        timeout_ms: 60_000,
        artifacts: Vec::new(),
        junit: Vec::new(),
        effects_outside: false,
    };
    Plan {
        v: 1,
        parallel_steps,
        steps: steps.iter().map(step).collect(),
    }
}

fn hands(folder: &tempfile::TempDir, later: &Later, up_since: At) -> Hands {
    Hands {
        blobs: Blobs::new(&folder.path().join("blobs")),
        logs: Logs::new(&folder.path().join("logs")),
        images: Arc::new(later.clone()),
        verdicts: Arc::new(later.clone()),
        claims: Gong::default(),
        instance_id: "i".to_owned(),
        up_since,
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn signing_request(key: &SigningKey) -> String {
    let der = key.to_pkcs8_der().unwrap();
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der.as_bytes());
    let pair =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::default();
    params.serialize_request(&pair).unwrap().pem().unwrap()
}
