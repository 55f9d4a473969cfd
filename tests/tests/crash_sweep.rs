//! The crash sweep: the orchestrator ends itself as if by SIGKILL at every point of the way from a
//! signed push to an approved promotion, is started again, and nothing is lost, doubled or green
//! without proof. `cargo ci` sweeps every point on SQLite and every fifth on PostgreSQL, `cargo
//! ci-long` every point on both.

use anyhow::{Context as _, ensure};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tests::crash::{Point, Server, SignerProcess, points, summary};
use tests::database::Database;
use tests::house::{House, Ports, copy_server};
use tests::registry::Registry;
use tests::running::Running;
use tests::script::{Script, Tend as _};
use tests::snapshot::{Snapshot, differences, snapshot};
use tests::story::Story;

/// The server with kill points; `cargo ci` sets it.
const BINARY_VARIABLE: &str = "SALLYPORT_KILL_BINARY";
/// Every how manyth point is swept on PostgreSQL; all when it is not set.
const EVERY_VARIABLE: &str = "SALLYPORT_SWEEP_POSTGRES_EVERY";
/// Stories at a time: while one waits for its disk or its argon2, the others use the cores.
const LANES: usize = 4;
/// How long a story that is over is kept going for a point that hangs on how often the worker asks.
const LATE: Duration = Duration::from_secs(20);

/// How often these happen hangs on how fast somebody asks: only so many of their first times are swept,
/// which every story reaches.
const BY_SPEED: &[(&str, u64, &str)] = &[
    (
        "step.claim",
        5,
        "a worker that finds nothing asks again; five steps are claimed",
    ),
    (
        "promotion.authorise",
        4,
        "a gate is tried at each pass; three open, prod's after an approval",
    ),
];

/// What the main story does not pass, and why not.
const OFF_THE_WAY: &[(&str, &str)] = &[
    ("delivery.disable-hook", BY_AN_OPERATOR),
    ("delivery.rotate-hook", BY_AN_OPERATOR),
    ("run.put-off", "only when the repository cannot be read"),
    ("trigger.put-off", "only when the repository cannot be read"),
    (
        "attestation.note",
        "only when the registry or the signer fails",
    ),
    (
        "blob.put-body",
        "only bodies over 64 KiB; a push of one branch is shorter",
    ),
    ("delivery.add-hook", MADE_BEFORE),
    ("delivery.show-payload", "only when a person reads a body"),
    ("delivery.refuse", "a refused delivery starts nothing"),
    ("finding.advisories", MADE_BEFORE),
    ("finding.advisories-confirm", MADE_BEFORE),
    ("finding.advisories-forget", MADE_BEFORE),
    (
        "finding.judge-again",
        "only when advisories come after a scan",
    ),
    ("fleet.drain", BY_AN_OPERATOR),
    ("fleet.enrol", MADE_BEFORE),
    ("fleet.mint-token", MADE_BEFORE),
    ("fleet.revoke", BY_AN_OPERATOR),
    ("identity.add", MADE_BEFORE),
    ("identity.make-token", BY_AN_OPERATOR),
    ("identity.sign-out", "nobody signs out in it"),
    (
        "image.refuse",
        "only a claim that does not hold (registry_faults.rs)",
    ),
    ("instance.init", MADE_BEFORE),
    ("project.apply", MADE_BEFORE),
    ("promotion.give-up", BY_AN_OPERATOR),
    ("promotion.given-up", BY_AN_OPERATOR),
    (
        "promotion.not-applied",
        "only when the registry fails (registry_faults.rs)",
    ),
    (
        "promotion.withdraw",
        "only when whoever requested it takes that back",
    ),
    (
        "promotion.stop",
        "only when a gate closes while a registry is away",
    ),
    (
        "ready.ask",
        "only when somebody asks for /readyz; it writes nothing",
    ),
    ("registry.token", "only when a person reads the registry"),
    ("run.again", BY_AN_OPERATOR),
    ("run.cancel", BY_AN_OPERATOR),
    ("step.cancel", BY_AN_OPERATOR),
    (
        "step.overdue",
        "only a worker that is lost, or a step that takes too long",
    ),
];
const MADE_BEFORE: &str = "made before the story begins";
const BY_AN_OPERATOR: &str = "an operator's act, which the story does not need";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SALLYPORT_KILL_BINARY, a sallyport built with kill points, which cargo ci sets"]
async fn a_crash_at_any_point_leaves_what_no_crash_leaves_on_sqlite() {
    sweep(Kind::Sqlite, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SALLYPORT_KILL_BINARY and SALLYPORT_TEST_POSTGRES, which cargo ci sets"]
async fn a_crash_at_any_point_leaves_what_no_crash_leaves_on_postgres() {
    let every = std::env::var(EVERY_VARIABLE).ok();
    let every = every.map_or(1, |text| text.parse().unwrap());
    sweep(Kind::Postgres, every).await.unwrap();
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
}

/// What a story leaves behind.
struct Left {
    database: Snapshot,
    registry: Vec<String>,
}

/// One story at a time, on ports, a registry and a signer of its own.
struct Lane {
    binary: PathBuf,
    house: House,
    registry: Registry,
    story: Story,
    _signer: SignerProcess,
}

async fn sweep(kind: Kind, every: usize) -> anyhow::Result<()> {
    let binary = PathBuf::from(std::env::var(BINARY_VARIABLE).context(BINARY_VARIABLE)?);
    let mut lanes = Vec::new();
    let mut listed = Vec::new();
    for _ in 0..LANES {
        let mut lane = Lane::set(binary.clone(), kind).await?;
        let began = Instant::now();
        let (points, left) = lane.undisturbed().await?;
        eprintln!(
            "{kind:?}: an undisturbed story takes {:.1} s",
            began.elapsed().as_secs_f64()
        );
        listed.push(points);
        lanes.push((lane, left));
    }
    let all = swept(&listed)?;
    eprintln!("{kind:?}: {} points: {}", all.len(), summary(&all));
    let queue: VecDeque<Point> = all.into_iter().step_by(every).collect();
    let (count, began) = (queue.len(), Instant::now());
    let queue = Mutex::new(queue);
    let (wrong, slowest) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let work = lanes.iter_mut().map(async |(lane, undisturbed)| {
        // The lock goes with this call: held over a story it would stop the other lanes.
        let next = || queue.lock().unwrap().pop_front();
        while let Some(point) = next() {
            let began = Instant::now();
            if let Err(problem) = lane.with_a_crash_at(&point, undisturbed).await {
                eprintln!("{kind:?}: {point}: {problem:#}");
                wrong.lock().unwrap().push(point.to_string());
            }
            slowest.lock().unwrap().insert(began.elapsed(), point);
        }
    });
    futures::future::join_all(work).await;
    let took = began.elapsed().as_secs_f64();
    eprintln!("{kind:?}: {count} stories with a crash in {took:.0} s, {LANES} at a time");
    for (took, point) in slowest.into_inner().unwrap().iter().rev().take(5) {
        eprintln!("  {:.1} s: {point}", took.as_secs_f64());
    }
    let wrong = wrong.into_inner().unwrap();
    ensure!(
        wrong.is_empty(),
        "{} points: {}",
        wrong.len(),
        wrong.join(", ")
    );
    Ok(())
}

/// The points of the undisturbed run, each once. Those that hang on speed only as often as every story
/// passes them; all others have to be the same in each lane.
fn swept(listed: &[Vec<Point>]) -> anyhow::Result<BTreeSet<Point>> {
    let by_speed = |point: &Point| BY_SPEED.iter().find(|(name, _, _)| *name == point.name);
    let mut all: Option<BTreeSet<Point>> = None;
    for points in listed {
        let swept: BTreeSet<Point> = points
            .iter()
            .filter(|point| by_speed(point).is_none_or(|(_, times, _)| point.time <= *times))
            .cloned()
            .collect();
        let all = all.get_or_insert_with(|| swept.clone());
        let differ: Vec<_> = all
            .symmetric_difference(&swept)
            .map(Point::to_string)
            .collect();
        ensure!(differ.is_empty(), "not in each undisturbed run: {differ:?}");
    }
    let all = all.unwrap_or_default();
    every_name_is_on_the_way(&all)?;
    Ok(all)
}

/// Every kill point that the code names is on the story's way, or stands above with a reason.
fn every_name_is_on_the_way(points: &BTreeSet<Point>) -> anyhow::Result<()> {
    let passed: BTreeSet<&str> = points.iter().map(|point| point.name.as_str()).collect();
    let off = |name: &str| OFF_THE_WAY.iter().any(|(listed, _)| *listed == name);
    let named = names_in_the_code()?;
    ensure!(named.len() > 20, "the code is not where it is looked for");
    let missed: Vec<_> = named
        .iter()
        .filter(|name| !passed.contains(name.as_str()) && !off(name))
        .collect();
    ensure!(
        missed.is_empty(),
        "neither on the story's way nor excused: {missed:?}"
    );
    let unsaid = OFF_THE_WAY.iter().any(|(_, why)| why.is_empty());
    ensure!(!unsaid, "excused without a reason");
    let stale: Vec<_> = OFF_THE_WAY
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| passed.contains(name) || !named.contains(*name))
        .collect();
    ensure!(
        stale.is_empty(),
        "excused and on the way, or gone: {stale:?}"
    );
    Ok(())
}

fn names_in_the_code() -> anyhow::Result<BTreeSet<String>> {
    let name = "\"([a-z]+\\.[a-z-]+)\"";
    let pattern = format!("(?:\\.write\\(|\\.write_guarded\\(|outside\\()\\s*{name}");
    let pattern = regex::Regex::new(&pattern)?;
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../orchestrator/src");
    let (mut folders, mut names) = (vec![source], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(path)?;
                let found = pattern
                    .captures_iter(&text)
                    .map(|found| found[1].to_owned());
                names.extend(found.filter(|name| !name.starts_with("test.")));
            }
        }
    }
    Ok(names)
}

impl Lane {
    async fn set(binary: PathBuf, kind: Kind) -> anyhow::Result<Self> {
        let database = match kind {
            Kind::Sqlite => Database::Sqlite,
            Kind::Postgres => Database::postgres().await?,
        };
        let house = House::furnish(database, Ports::free()?).await?;
        let running = Running::start(&house).await?;
        let worker = running.worker(&house).await?;
        running.stop().await;
        Ok(Self {
            registry: Registry::start(&house)?,
            _signer: SignerProcess::start(&binary, &house.signer_config())?,
            story: Story::new(&house, Script::new(worker)?)?,
            binary,
            house,
        })
    }

    /// The points that are passed when nothing goes wrong, and what is there afterwards.
    async fn undisturbed(&mut self) -> anyhow::Result<(Vec<Point>, Left)> {
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("points");
        let left = self.plays(folder.path(), None, Some(&list)).await?;
        Ok((points(&list)?, left))
    }

    async fn with_a_crash_at(&mut self, point: &Point, wanted: &Left) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let left = self.plays(folder.path(), Some(point), None).await?;
        let mut wrong = differences(&wanted.database, &left.database);
        let registry =
            |left: &Left| Snapshot::from([("registry".to_owned(), left.registry.clone())]);
        wrong.extend(differences(&registry(wanted), &registry(&left)));
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    /// One story from its beginning, in this folder.
    async fn plays(
        &mut self,
        folder: &std::path::Path,
        kill_at: Option<&Point>,
        list: Option<&std::path::Path>,
    ) -> anyhow::Result<Left> {
        self.registry.empty()?;
        self.story.again()?;
        let database = self.house.database.copy().await?;
        let server = folder.join("server");
        copy_server(&self.house.server(), &server, &database)?;
        let kills = kill_at.map_or(&[][..], std::slice::from_ref);
        let mut process = Server::start(&self.binary, &server, kills, list)?;
        let mut look = database.look(&server).await?;
        let played = async {
            self.story.play(&mut process, &mut look).await?;
            if kill_at.is_some() {
                self.until_killed(&mut process).await?;
            }
            process.ready(&self.house.ports.public_url()).await?;
            process.stop().await
        };
        if let Err(problem) = played.await {
            let said = process.said();
            return Err(problem.context(format!("the server's last words:\n{said}")));
        }
        drop(look);
        let left = Left {
            database: snapshot(&database, &server).await?,
            registry: self.checked_registry()?,
        };
        database.remove().await?;
        Ok(left)
    }

    /// The point may lie after the story's end, or hang on how often the worker asks.
    async fn until_killed(&mut self, process: &mut Server) -> anyhow::Result<()> {
        let until = Instant::now() + LATE;
        while process.next_kill().is_some() {
            ensure!(Instant::now() < until, "the point was not reached");
            self.story.script.turn(process, 100).await?;
            process.tend()?;
        }
        Ok(())
    }

    fn checked_registry(&self) -> anyhow::Result<Vec<String>> {
        let holds = self.registry.holds()?;
        let image = tests::ready_made::Image::ready_made().digest();
        for place in ["quarantine", "dev", "staging", "prod"] {
            let signatures = holds.signatures(&format!("{place}/shop/web"), &image)?;
            ensure!(signatures == 1, "{signatures} signatures in {place}");
        }
        holds.lines()
    }
}
