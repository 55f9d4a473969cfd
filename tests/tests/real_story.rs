//! The main story in earnest: the real worker on its real engine builds, analyses, scans and tests. The
//! orchestrator is killed once in each stage of the flow, and it ends as the undisturbed one does; the
//! worker is killed while it analyses, builds, pushes, scans and tests, and it ends well, too.

use anyhow::{Context as _, ensure};
use contract::digest::Digest;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::crash::{Point, Server, SignerProcess};
use tests::database::{Database, Look};
use tests::house::{House, Ports, copy_server};
use tests::images::{self, Wish};
use tests::place::Place;
use tests::registry::{Registry, scrubbed};
use tests::repository;
use tests::running::Running;
use tests::script::Tend as _;
use tests::snapshot::{Snapshot, differences, snapshot};
use tests::story::{People, Push, Standing};
use tests::worker_process::WorkerProcess;
use tests::yard::kept_log;

/// The server with kill points; `cargo ci` sets it.
const BINARY_VARIABLE: &str = "SALLYPORT_KILL_BINARY";
/// A story takes half a minute, with its kills a minute.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(100);
/// What `unit` prints, a line each 10 ms: long enough to be killed in.
const LINES: usize = 300;

const PIPELINE: &str = r#"version: 1
on: { push: { branches: [main] } }
steps:
  style:
    analyze: { tools: [hadolint, gitleaks] }
  unit:
    run: { image: "@BASE@", command: ["/steps", "test", "300", "unit.xml"] }
    reports: { junit: ["unit.xml"] }
  web:
    build: { dockerfile: Dockerfile, context: . }
    needs: [style, unit]
  contents:
    scan: { image: web }
  api:
    test:
      image: web
      ready: { http: "http://web:8080/healthz", within: 30s }
      probe: { image: "@BASE@", command: ["/steps", "ask", "8080", "api.xml"] }
    reports: { junit: ["api.xml"] }
"#;
const DOCKERFILE: &str = "FROM @BASE@\nCOPY shop.txt /srv/shop.txt\nRUN [\"/steps\", \"count\", \"3\", \"1\"]\nUSER 65532:65532\nCMD [\"/steps\", \"serve\", \"8080\"]\n";

/// Each stage of the flow with where the orchestrator is killed in it: what was done is durable and
/// nobody was told, or nothing was done yet.
const KILLS: [(&str, &str); 11] = [
    ("delivery", "delivery.receive 1 after"),
    ("trigger", "trigger.settle 1 before"),
    ("run", "run.make 1 after"),
    // In the middle of what `unit` prints.
    ("step", "step.log-chunk 5 after"),
    ("step", "step.report 1 after"),
    ("image", "image.observe 1 after"),
    ("finding", "finding.settle 1 before"),
    ("attestation", "signer.sign-statement 1 after"),
    ("gate", "promotion.authorise 1 after"),
    ("promotion", "promotion.tagging 1 after"),
    ("promotion", "promotion.applied 1 before"),
];

/// What is done to the worker and its registry, once the log of a step's lease says so far.
const BLOWS: [(&str, i64, &str, Blow); 6] = [
    ("style", 1, "::section:: gitleaks", Blow::Kill),
    ("web", 1, "line 20", Blow::Kill),
    ("web", 2, "line 20", Blow::Hold),
    ("web", 2, "::section:: Push", Blow::Kill),
    ("contents", 1, "::section:: gitleaks", Blow::Kill),
    ("api", 2, "line 50", Blow::Kill),
];

#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The registry answers no more: a push is under way for as long as that.
    Hold,
    /// The worker dies and is started again; the registry goes on.
    Kill,
}

/// What a story leaves behind, without what differs from one to the next: ids, times, and the digest of
/// the image, which holds when it was built.
struct Left {
    database: Snapshot,
    registry: Vec<String>,
    lines: Vec<String>,
    /// Each step with how often it was leased.
    leases: Vec<String>,
}

/// One instance with everything real but people and forge.
struct Stage {
    binary: PathBuf,
    house: House,
    base: images::Registry,
    registry: Option<Registry>,
    worker: WorkerProcess,
    push: Push,
    _signer: SignerProcess,
    _folder: tempfile::TempDir,
}

/// One story with eleven kills, and not eleven stories with one: the kills are far apart in the flow,
/// each process counts its points anew, and between two of them the story has to go on, so that none
/// can hide what another left. The sweep (`crash_sweep.rs`) has a story for every point, with a worker
/// that is a script; what only the real one can show is that it lives through them, with an engine whose
/// containers go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SALLYPORT_KILL_BINARY and the worker's engine, which cargo ci names"]
async fn an_orchestrator_that_is_killed_once_in_each_stage_ends_the_story_as_if_it_had_not_been() {
    let mut stage = Stage::set(PIPELINE, DOCKERFILE).await.unwrap();
    let undisturbed = stage.plays(&[], &[]).await.unwrap();
    let kills: Vec<Point> = KILLS.iter().map(|(_, at)| at.parse().unwrap()).collect();
    let killed = stage.plays(&kills, &[]).await.unwrap();
    let differ = differences(&undisturbed.database, &killed.database);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(killed.registry, undisturbed.registry);
    let wanted: Vec<String> = (0..LINES).map(|line| format!("line {line}")).collect();
    assert_eq!(undisturbed.lines, wanted);
    assert_eq!(killed.lines, wanted, "every line, once");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SALLYPORT_KILL_BINARY and the worker's engine, which cargo ci names"]
async fn a_worker_that_is_killed_while_it_works_on_any_kind_of_step_does_it_again() {
    // Long enough to be killed in.
    let dockerfile = DOCKERFILE.replace(r#""3", "1""#, r#""300", "10""#);
    let dockerfile = dockerfile.replace("USER", "COPY shop.txt /srv/takes-time\nUSER");
    let pipeline = PIPELINE.replace(r#""ask", "8080""#, r#""test", "300""#);
    let pipeline = format!("{pipeline}# scanner: takes its time\n");
    let mut stage = Stage::set(&pipeline, &dockerfile).await.unwrap();
    let left = stage.plays(&[], &BLOWS).await.unwrap();
    // What ran beside these was killed with them, or was over.
    for lease in ["style 2", "web 3", "api 3"] {
        assert!(left.leases.contains(&lease.to_owned()), "{:?}", left.leases);
    }
    let scanned = |lease: &&String| matches!(lease.as_str(), "contents 2" | "contents 3");
    assert!(
        left.leases.iter().any(|lease| scanned(&lease)),
        "{:?}",
        left.leases
    );
}

impl Stage {
    async fn set(pipeline: &str, dockerfile: &str) -> anyhow::Result<Self> {
        let place = Place::find()?;
        let binary = PathBuf::from(std::env::var(BINARY_VARIABLE).context(BINARY_VARIABLE)?);
        let mut ports = Ports::free()?;
        let (_, port) = place.registry.rsplit_once(':').context("a port")?;
        ports.registry = port.parse()?;
        let house = House::furnish(Database::Sqlite, ports).await?;
        let mut base = images::Registry::start(&place.registry).await?;
        let push = furnished(&house, &base, pipeline, dockerfile).await?;
        base.goes()?;
        let folder = tempfile::tempdir()?;
        let worker = WorkerProcess::new(&place, folder.path(), "story-1").await?;
        worker.configure(&house.ports.entrance(), 2)?;
        let running = Running::start(&house).await?;
        worker.enrol(&running.enrolment_token().await?).await?;
        running.stop().await;
        Ok(Self {
            _signer: SignerProcess::start(&binary, &house.signer_config())?,
            binary,
            house,
            base,
            registry: None,
            worker,
            push,
            _folder: folder,
        })
    }

    /// One story from its beginning until prod holds the release.
    async fn plays(
        &mut self,
        kills: &[Point],
        blows: &[(&str, i64, &str, Blow)],
    ) -> anyhow::Result<Left> {
        let began = Instant::now();
        // One registry at a time: there is one address at which the engine reaches it.
        self.registry = None;
        let registry = Registry::start(&self.house)?;
        registry.holds_as(&self.base.storage())?;
        let folder = tempfile::tempdir()?;
        let server = folder.path().join("server");
        copy_server(&self.house.server(), &server, &self.house.database)?;
        let mut process = Server::start(&self.binary, &server, kills, None)?;
        self.worker.start()?;
        let mut look = self.house.database.look(&server).await?;
        let mut blows = Blows {
            left: blows,
            data: server.join("data"),
            registry: &registry,
        };
        if let Err(problem) = self.acts(&mut process, &mut look, &mut blows).await {
            let (server, worker) = (process.said(), self.worker.words());
            let words = format!("the server's last words:\n{server}\nthe worker's:\n{worker}");
            return Err(problem.context(words));
        }
        self.worker.stop().await?;
        self.worker.nothing_is_left().await?;
        process.stop().await?;
        let left = left(&mut look, &server, &registry).await?;
        self.registry = Some(registry);
        eprintln!(
            "a story with {} kills takes {:.1} s",
            kills.len(),
            began.elapsed().as_secs_f64()
        );
        Ok(left)
    }

    async fn acts(
        &mut self,
        process: &mut Server,
        look: &mut Look,
        blows: &mut Blows<'_>,
    ) -> anyhow::Result<()> {
        let mut people = People::new(&self.house.ports.public_url())?;
        self.push.until_taken(process).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            process.tend()?;
            let standing = Standing::read(look).await?;
            standing.goes_well()?;
            if standing.is_in("prod") {
                break;
            }
            ensure!(Instant::now() < until, "not over in time: {standing:?}");
            people.act(&standing).await?;
            blows.fall(look, &mut self.worker).await?;
            tokio::time::sleep(LOOK).await;
        }
        let missed = process.next_kill();
        ensure!(missed.is_none(), "never reached: {missed:?}");
        ensure!(blows.left.is_empty(), "never reached: {:?}", blows.left);
        process.ready(&self.house.ports.public_url()).await
    }
}

/// What is still to be done to the worker and its registry.
struct Blows<'a> {
    left: &'a [(&'a str, i64, &'a str, Blow)],
    data: PathBuf,
    registry: &'a Registry,
}

impl Blows<'_> {
    /// Does the next one when its time has come.
    async fn fall(&mut self, look: &mut Look, worker: &mut WorkerProcess) -> anyhow::Result<()> {
        let Some(((step, fence, says, blow), later)) = self.left.split_first() else {
            return Ok(());
        };
        let ids = texts(look, "id", &format!("step WHERE name = '{step}'")).await?;
        let log = ids
            .first()
            .and_then(|id| kept_log(&self.data, id, *fence).ok());
        if !String::from_utf8_lossy(&log.unwrap_or_default()).contains(says) {
            return Ok(());
        }
        match blow {
            Blow::Hold => self.registry.signal(Signal::SIGSTOP)?,
            Blow::Kill => {
                worker.kill()?;
                self.registry.signal(Signal::SIGCONT)?;
                worker.start()?;
            }
        }
        self.left = later;
        Ok(())
    }
}

/// Pushes base and tools, names them in the server's file, and commits; the push that tells of it.
async fn furnished(
    house: &House,
    registry: &images::Registry,
    pipeline: &str,
    dockerfile: &str,
) -> anyhow::Result<Push> {
    let steps = Wish {
        program: "/steps",
        ..Wish::default()
    };
    let base = registry.push("base/steps", &steps).await?;
    let mut config = std::fs::read_to_string(house.config())?;
    for (tool, program) in [
        ("hadolint", "/usr/bin/hadolint"),
        ("gitleaks", "/usr/bin/gitleaks"),
        ("syft", "/usr/bin/syft"),
    ] {
        let wish = Wish {
            program,
            ..Wish::default()
        };
        let image = registry.push(&format!("tools/{tool}"), &wish).await?;
        let (name, _) = image.split_once('@').context("a digest")?;
        let none = format!("{name}@sha256:{}", "1".repeat(64));
        ensure!(config.contains(&none), "{tool} is not in the configuration");
        config = config.replace(&none, &image);
    }
    std::fs::write(house.config(), config)?;
    let files = [
        (".sallyport.yml", &*pipeline.replace("@BASE@", &base)),
        ("Dockerfile", &*dockerfile.replace("@BASE@", &base)),
        ("shop.txt", "sold\n"),
    ];
    let commit = repository::commit(&house.repository(), &files)?;
    let url = house.ports.public_url();
    Push::of(format!("{url}/hooks/{}", house.hook), &commit)
}

/// Tables of which only the number of rows is compared, and why: the real worker's work has times in it.
const COUNTED: [(&str, &str); 6] = [
    ("attestation", "provenance says when the worker did what"),
    (
        "image",
        "a manifest names layers, and a layer says when it was made",
    ),
    ("release", "a digest over the image's"),
    ("report", "says when the worker did what"),
    ("signature", "made over the image's digest"),
    ("worker", "its self-test measures"),
];

async fn left(look: &mut Look, server: &Path, registry: &Registry) -> anyhow::Result<Left> {
    let image = texts(look, "digest", "image").await?.concat();
    let digest = Digest::parse(&image)?;
    let named = |line: String| line.replace(&digest.hex(), "<image>");
    let mut database = snapshot(&Database::Sqlite, server).await?;
    // A log comes in more pieces or fewer, as the clock has it; it is compared as a whole.
    database.remove("log_chunk");
    for (table, rows) in &mut database {
        let all = std::mem::take(rows);
        if COUNTED.iter().any(|(counted, _)| counted == table) {
            rows.push(format!("{} rows", all.len()));
        } else {
            rows.extend(all.into_iter().map(named));
        }
    }
    let step = texts(look, "id || ' ' || fence", "step WHERE name = 'unit'").await?;
    let (id, fence) = step[0].split_once(' ').context("a step")?;
    let log = String::from_utf8(kept_log(&server.join("data"), id, fence.parse()?)?)?;
    let lines = log.lines().filter(|line| line.starts_with("line "));
    Ok(Left {
        database,
        registry: held(registry, &digest)?.into_iter().map(named).collect(),
        lines: lines.map(str::to_owned).collect(),
        leases: texts(look, "name || ' ' || fence", "step").await?,
    })
}

/// The registry's tags, and each repository with how many manifests it holds: one image everywhere, with
/// one signature for each of its names.
fn held(registry: &Registry, image: &Digest) -> anyhow::Result<Vec<String>> {
    let holds = registry.holds()?;
    for place in ["quarantine", "dev", "staging", "prod"] {
        let signatures = holds.signatures(&format!("{place}/shop/web"), image)?;
        ensure!(signatures == 1, "{signatures} signatures in {place}");
    }
    for place in ["dev", "staging", "prod"] {
        let tag = format!("{place}/shop/web:current");
        ensure!(holds.tags.get(&tag) == Some(image), "{tag} is another");
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    for name in holds.manifests.keys() {
        let (repository, _) = name.split_once('@').context("a manifest")?;
        *counts.entry(repository).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|(name, count)| format!("{name}: {count}"));
    let tags = holds.tags.keys().map(|tag| scrubbed(tag));
    tags.chain(counts.map(Ok)).collect()
}

/// The only column of a SELECT, sorted.
async fn texts(look: &mut Look, expression: &str, from: &str) -> anyhow::Result<Vec<String>> {
    let column = look.array(&[(expression, false)]);
    let rows = look.rows(&format!("SELECT {column} FROM {from}")).await?;
    let mut texts: Vec<String> = rows.into_iter().flatten().flatten().collect();
    texts.sort();
    Ok(texts)
}
