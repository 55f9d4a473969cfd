//! Stories of the room on both databases.

mod store;

use super::advisory::{self, ImportOutcome, NotImported};
use super::{Known, Location, Severity, Verdict, open_for_release, pass, verdict_of};
use crate::blob::Blobs;
use crate::clock::{At, SteppedClock};
use crate::db::Db;
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::Actor;
use crate::reconcile::Progress;
use std::io::Write as _;
use std::sync::Arc;
use store::{lose_lease, make_image_and_release, make_run, report};

const GITLEAKS: &[u8] = include_bytes!("fixtures/gitleaks-before.sarif.json");
const SYFT: &[u8] = include_bytes!("fixtures/syft-cyclonedx.json");
const NO_LEAKS: &[u8] =
    br#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gitleaks"}},"results":[]}]}"#;
const TWO_TESTS: &[u8] =
    br#"<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>"#;

struct House {
    ground: Ground,
    blobs: Blobs,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(db: &Db) -> Self {
        let clock = Arc::new(SteppedClock::new(At(1_790_000_000_000_000)));
        let folder = tempfile::tempdir().unwrap();
        let house = Self {
            ground: Ground {
                db: db.clone(),
                ids: Arc::new(SystemIds::new(Arc::clone(&clock) as _)),
                clock,
            },
            blobs: Blobs::new(folder.path()),
            _folder: folder,
        };
        make_run(&house.ground).await;
        house
    }

    async fn reported(
        &self,
        step: &str,
        work: serde_json::Value,
        tools: &[(&str, i64)],
        files: &[(&str, &[u8])],
    ) {
        let payload = payload(step, tools);
        let step = (
            step,
            work["work"]["kind"].as_str().unwrap(),
            work.to_string(),
        );
        report(&self.ground, &self.blobs, step, payload, files).await;
    }

    async fn scanned(&self) {
        make_image_and_release(&self.ground).await;
        let files: [(&str, &[u8]); 2] = [
            ("sbom/cyclonedx.json", SYFT),
            ("sarif/gitleaks.sarif", NO_LEAKS),
        ];
        self.reported("contents", scan(), &[("syft", 0), ("gitleaks", 0)], &files)
            .await;
    }

    async fn passes(&self) -> Progress {
        pass(&self.ground, &self.blobs).await.unwrap()
    }

    async fn verdict(&self, step: &str) -> Option<Verdict> {
        let mut conn = self.ground.db.reader().await.unwrap();
        verdict_of(&mut conn, step, 1).await.unwrap()
    }

    async fn known(&self) -> Known {
        let mut conn = self.ground.db.reader().await.unwrap();
        open_for_release(&mut conn, "rel").await.unwrap().unwrap()
    }

    async fn imports(&self, records: &[String]) -> ImportOutcome {
        let bytes = zip_of(records).into();
        advisory::import(&self.ground, &Actor::System, bytes)
            .await
            .unwrap()
    }
}

/// A step's frozen plan.
fn plan(work: serde_json::Value, junit: &[&str]) -> serde_json::Value {
    let resources =
        serde_json::json!({"cpu_milli": 1, "memory_bytes": 1, "pids": 1, "work_bytes": 1});
    serde_json::json!({"name": "s", "needs": [], "work": work, "env": {}, "resources": resources,
        "timeout_ms": 1, "artifacts": [], "junit": junit, "effects_outside": false})
}

fn tool(name: &str) -> serde_json::Value {
    let digest = contract::digest::Digest::of(b"");
    serde_json::json!({"name": name, "image": format!("registry.example/tools/{name}@{digest}")})
}

fn analyze(name: &str) -> serde_json::Value {
    plan(
        serde_json::json!({"kind": "analyze", "tools": [tool(name)]}),
        &[],
    )
}

fn scan() -> serde_json::Value {
    let (sbom, secrets) = (tool("syft"), tool("gitleaks"));
    plan(
        serde_json::json!({"kind": "scan", "of": "web", "sbom": sbom, "secrets": secrets}),
        &[],
    )
}

fn test() -> serde_json::Value {
    let ready = serde_json::json!({"probe": {"kind": "tcp", "port": 1}, "within_ms": 1});
    let work = serde_json::json!({"kind": "test", "of": "web", "env": {}, "ready": ready,
        "services": [], "probe": tool("python")["image"], "command": []});
    plan(work, &["reports/*.xml"])
}

fn payload(step: &str, tools: &[(&str, i64)]) -> String {
    let tools: Vec<_> = tools
        .iter()
        .map(|(name, code)| serde_json::json!({"name": name, "exit_code": code}))
        .collect();
    serde_json::json!({
        "step_id": step, "fence": 1, "outcome": {"kind": "passed"},
        "log": {"chunks": 0, "bytes": 0, "sha256": contract::digest::Digest::of(b""), "dropped_bytes": 0},
        "artifacts": [], "images": [], "tools": tools, "isolation": {"level": "x", "rules": []},
        "times": {"claimed_at": 0, "ended_at": 0}, "network": false, "complaints": []
    })
    .to_string()
}

fn record(id: &str, package: &str, fixed: &str, modified: &str) -> String {
    let (ecosystem, name) = package.split_once('/').unwrap();
    serde_json::json!({
        "id": id, "modified": modified, "summary": format!("About {id}"),
        "affected": [{
            "package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
        }]
    })
    .to_string()
}

fn zip_of(records: &[String]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (index, record) in records.iter().enumerate() {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{index}.json"), options).unwrap();
        zip.write_all(record.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn found(known: &Known) -> Vec<(&str, &str, Severity)> {
    let of = |open: &super::Open| match &open.finding.location {
        Location::File { path, .. } => path.clone(),
        Location::Package(package) => package.name.clone(),
        Location::Nowhere => String::new(),
    };
    let names: Vec<String> = known.findings.iter().map(of).collect();
    known
        .findings
        .iter()
        .zip(names)
        .map(|(open, name)| {
            let name: &str = Box::leak(name.into_boxed_str());
            (open.finding.rule.as_str(), name, open.finding.severity)
        })
        .collect()
}

crate::store_tests! {
    fn a_leaked_key_fails_its_step_and_is_kept_as_findings(db: Db) {
        let house = House::new(&db).await;
        make_image_and_release(&house.ground).await;
        house.reported("style", analyze("gitleaks"), &[("gitleaks", 1)], &[("sarif/gitleaks.sarif", GITLEAKS)]).await;
        assert_eq!(house.passes().await, Progress::Moved);
        assert_eq!(house.verdict("style").await, Some(Verdict::Failed("gitleaks found 4 secrets".to_owned())));
        let known = house.known().await;
        assert_eq!(known.findings.len(), 4);
        assert_eq!(found(&known)[0].2, Severity::High);
        assert_eq!(known.unscanned, ["web"]);
        assert_eq!(house.passes().await, Progress::Idle, "nothing is done twice");
        assert_eq!(house.known().await, known);
    }

    fn what_a_lost_lease_brought_does_not_count(db: Db) {
        let house = House::new(&db).await;
        make_image_and_release(&house.ground).await;
        house.reported("style", analyze("gitleaks"), &[("gitleaks", 1)], &[("sarif/gitleaks.sarif", GITLEAKS)]).await;
        house.passes().await;
        lose_lease(&house.ground, "style").await;
        assert!(house.known().await.findings.is_empty());
    }

    fn a_missing_report_is_said_and_nothing_passes_without_it(db: Db) {
        let house = House::new(&db).await;
        make_image_and_release(&house.ground).await;
        house.reported("style", analyze("hadolint"), &[("hadolint", 1)], &[]).await;
        house.reported("api", test(), &[], &[]).await;
        house.reported("odd", serde_json::json!({"work": {"kind": "analyze"}}), &[], &[]).await;
        house.passes().await;
        for step in ["style", "api", "odd"] {
            let verdict = house.verdict(step).await;
            assert!(matches!(verdict, Some(Verdict::Incomplete(_))), "{step}: {verdict:?}");
        }
    }

    fn tests_are_counted_by_ourselves(db: Db) {
        let house = House::new(&db).await;
        make_image_and_release(&house.ground).await;
        let files: [(&str, &[u8]); 2] = [("junit/reports/a.xml", TWO_TESTS), ("junit/reports/b.xml", TWO_TESTS)];
        house.reported("api", test(), &[], &files).await;
        house.passes().await;
        assert_eq!(house.verdict("api").await, Some(Verdict::Passed));
        let tests = house.known().await.tests;
        assert_eq!((tests.passed, tests.skipped, tests.failed, tests.errored), (2, 2, 0, 0));
    }

    fn an_outdated_package_is_found_and_what_nobody_knows_is_not_called_clean(db: Db) {
        let house = House::new(&db).await;
        let records = [record("PYSEC-2026-1", "PyPI/Jinja2", "3.1.3", "2026-01-01T00:00:00Z")];
        assert!(matches!(house.imports(&records).await, ImportOutcome::Imported(_)));
        house.scanned().await;
        house.passes().await;
        assert_eq!(house.verdict("contents").await, Some(Verdict::Passed));
        let known = house.known().await;
        assert_eq!(found(&known), [("PYSEC-2026-1", "jinja2", Severity::Unknown)]);
        let kinds = advisory::not_checked_by_kind(&known.not_checked);
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [("deb".to_owned(), 6), ("npm".to_owned(), 1)]);
        assert_eq!(known.at_or_above(Severity::Critical).count(), 1, "unknown counts everywhere");
        assert_eq!(known.not_accepted(&["deb".to_owned(), "npm".to_owned()]).len(), 0);
        assert_eq!(known.not_accepted(&["deb".to_owned()]).get("npm"), Some(&1));
        assert_eq!(known.confirmed_at(), Some(house.ground.now().0));
        assert!(known.outdated.is_empty() && known.unscanned.is_empty());
    }

    fn what_was_clean_yesterday_is_judged_again_by_todays_advisories(db: Db) {
        let house = House::new(&db).await;
        let jinja = |modified| record("PYSEC-2026-1", "PyPI/Jinja2", "3.1.3", modified);
        let yaml = record("PYSEC-2026-2", "PyPI/PyYAML", "7.0", "2026-02-01T00:00:00Z");
        house.imports(&[jinja("2026-01-01T00:00:00Z")]).await;
        house.scanned().await;
        house.passes().await;
        house.imports(&[jinja("2026-01-01T00:00:00Z"), yaml.clone()]).await;
        assert_eq!(house.known().await.outdated, ["web"], "a gate sees that it is not judged yet");
        assert_eq!(house.passes().await, Progress::Moved);
        let known = house.known().await;
        assert!(known.outdated.is_empty());
        assert_eq!(known.findings.len(), 2);
        // One is no longer published: its finding is gone. The other keeps its row.
        house.imports(&[yaml]).await;
        house.passes().await;
        let later = house.known().await;
        assert_eq!(found(&later), [("PYSEC-2026-2", "pyyaml", Severity::Unknown)]);
        assert!(known.findings.contains(&later.findings[0]));
        assert_eq!(house.passes().await, Progress::Idle);
    }

    fn an_image_that_is_scanned_twice_is_told_once(db: Db) {
        let house = House::new(&db).await;
        house.imports(&[record("PYSEC-2026-1", "PyPI/Jinja2", "3.1.3", "2026-01-01T00:00:00Z")]).await;
        house.scanned().await;
        let files: [(&str, &[u8]); 2] = [("sbom/cyclonedx.json", SYFT), ("sarif/gitleaks.sarif", NO_LEAKS)];
        house.reported("again", scan(), &[("syft", 0), ("gitleaks", 0)], &files).await;
        house.passes().await;
        assert_eq!(house.known().await.findings.len(), 1);
    }

    fn an_import_says_what_it_changed_and_the_same_again_only_confirms(db: Db) {
        let house = House::new(&db).await;
        let mut records: Vec<String> = (0..450)
            .map(|n| record(&format!("PYSEC-2026-{n}"), "PyPI/p", "9", "2026-01-01T00:00:00Z"))
            .collect();
        records.push(record("GHSA-1", "npm/p", "9", "2026-03-01T00:00:00Z"));
        let ImportOutcome::Imported(first) = house.imports(&records).await else {
            panic!("refused");
        };
        assert_eq!((first.changed, first.forgotten), (450, 0));
        assert_eq!(first.sources.len(), 1);
        assert_eq!(first.only_mentioned.get("npm"), Some(&1), "one record is no knowledge of npm");
        let newest: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(first.sources[0].content_at, newest.as_microsecond());
        let ImportOutcome::Imported(again) = house.imports(&records).await else {
            panic!("refused");
        };
        assert_eq!((again.changed, again.forgotten), (0, 0));
        records.remove(0);
        let ImportOutcome::Imported(less) = house.imports(&records).await else {
            panic!("refused");
        };
        assert_eq!((less.changed, less.forgotten), (0, 1));
        let refused = house.imports(&["{}".to_owned()]).await;
        assert!(matches!(refused, ImportOutcome::Refused(NotImported::Broken { .. })));
        let mut conn = house.ground.db.reader().await.unwrap();
        assert_eq!(advisory::sources(&mut conn).await.unwrap(), less.sources);
    }
}
