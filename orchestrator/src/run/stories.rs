//! Stories of runs on both databases, over real repositories: triggers become runs, once.

use super::gather::Hands;
use super::plan::{Plan, PlannedWork};
use super::state::{Cause, RunId, RunState};
use super::{Again, again, by_number, pass};
use crate::blob::Blobs;
use crate::clock::{At, SteppedClock};
use crate::config::Tools;
use crate::db::{self, Db};
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::Actor;
use crate::lifecycle::Tasks;
use crate::reconcile::{ATTEMPTS_MAX, Lanes};
use crate::source::Mirrors;
use contract::image::ImageRef;
use contract::name::Name;
use std::sync::Arc;
use std::time::Duration;

/// A pass of a test waits for all that it started.
const LANES_BOUND: Duration = Duration::from_secs(60);

const SETTINGS: &str = "version: 1
project: shop
source: { git: \"GIT\" }
known-registries: [\"registry.example/base/*\"]
quarantine: registry.example/quarantine/shop
limits: { timeout: 1h, memory: 4GiB, parallel-steps: 3 }
environments: {}
";

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  style: { analyze: { tools: [hadolint] } }
  web: { build: {}, needs: [style] }
  contents: { scan: { image: web } }
  publish:
    analyze: { tools: [gitleaks] }
    when: { branches: [\"release/*\"] }
";

struct Forge {
    ground: Ground,
    clock: Arc<SteppedClock>,
    hands: Hands,
    repository: git2::Repository,
    folder: tempfile::TempDir,
}

impl Forge {
    async fn new(db: Db) -> Self {
        let clock = Arc::new(SteppedClock::new(At(1_790_000_000_000_000)));
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let ground = Ground {
            db,
            clock: clock.clone(),
            ids,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.git");
        let repository = git2::Repository::init_bare(&path).unwrap();
        let hands = Hands {
            mirrors: Mirrors::new(&folder.path().join("mirrors")),
            blobs: Blobs::new(&folder.path().join("blobs")),
            lanes: Lanes::new(&Tasks::default(), LANES_BOUND, Vec::new()),
            tools: Tools {
                hadolint: Some(image("tools/hadolint")),
                gitleaks: Some(image("tools/gitleaks")),
                syft: Some(image("tools/syft")),
            },
        };
        let settings = SETTINGS.replace("GIT", path.to_str().unwrap()).into_bytes();
        let write = ground.db.write("test.project", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                     VALUES ($1, 'shop', 1, 1, 0, 0)",
                    PROJECT
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO project_settings (project_id, version, document, digest, applied_at, applied_by)
                     VALUES ($1, 1, $2, 'd', 1, 'system')",
                    PROJECT,
                    settings
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO hook (id, project_id, provider, created_at) VALUES ('h', $1, 'git', 1)",
                    PROJECT
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
        Self {
            ground,
            clock,
            hands,
            repository,
            folder,
        }
    }

    /// Commits files onto main; the commit's id.
    fn commits(&self, files: &[(&str, &str)]) -> String {
        let git = &self.repository;
        let mut tree = git.treebuilder(None).unwrap();
        for (path, text) in files {
            let (mode, text) = match path.strip_prefix('@') {
                Some(_) => (0o120_000, text),
                None => (0o100_644, text),
            };
            let blob = git.blob(text.as_bytes()).unwrap();
            tree.insert(path.trim_start_matches('@'), blob, mode)
                .unwrap();
        }
        let tree = git.find_tree(tree.write().unwrap()).unwrap();
        let time = git2::Time::new(1_700_000_000, 0);
        let mara = git2::Signature::new("Mara", "mara@shop.example", &time).unwrap();
        let tip = git.find_reference("refs/heads/main").ok();
        let parents: Vec<_> = tip
            .iter()
            .map(|tip| tip.peel_to_commit().unwrap())
            .collect();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let message = "Sell more\n\nbody";
        let commit = git
            .commit(None, &mara, &mara, message, &tree, &parents)
            .unwrap();
        git.reference("refs/heads/main", commit, true, "push")
            .unwrap();
        commit.to_string()
    }

    async fn triggers(&self, id: &'static str, commit: &str) {
        let commit = commit.to_owned();
        let write = self.ground.db.write("test.trigger", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                         body_digest, body_bytes, signature, secret_id, address, received_at, audit_id)
                     VALUES ($1, 'h', $2, 'git', $1, 'push', '{}', 'sha256:', 0, '', 's', $3, 1, 'a')",
                    id,
                    PROJECT,
                    vec![0_u8; 16]
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision,
                         reason, detail, trust, settings_version, decided_at)
                     VALUES ($1, $1, $2, 'refs/heads/main', $3, 'start', 'push', '', 'trusted', 1, 1)",
                    id,
                    PROJECT,
                    &commit
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
    }

    async fn pass(&self) {
        pass(&self.ground, &self.hands).await.unwrap();
    }

    async fn run(&self, number: i64) -> Option<(RunId, RunState)> {
        let mut conn = self.ground.db.reader().await.unwrap();
        let shop = Name::parse("shop").unwrap();
        let run = by_number(&mut conn, &shop, number).await.unwrap()?;
        Some((run.id, run.state))
    }

    async fn column(&self, sql: &'static str) -> String {
        let mut conn = self.ground.db.reader().await.unwrap();
        crate::fetch_one!(conn, (String,), sql).unwrap().0
    }
}

const PROJECT: &str = "01900000-0000-7000-8000-000000000001";

fn image(name: &str) -> ImageRef {
    ImageRef::parse(&format!(
        "registry.example/{name}@sha256:{}",
        "0".repeat(64)
    ))
    .unwrap()
}

fn dockerfile() -> String {
    format!("FROM {}\nCOPY . /app\n", image("base/python"))
}

crate::store_tests! {
    fn a_trigger_becomes_one_run_with_a_frozen_plan(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", PIPELINE), ("Dockerfile", &dockerfile())]);
        forge.triggers("t1", &commit).await;
        let (one, two) = tokio::join!(
            pass(&forge.ground, &forge.hands),
            pass(&forge.ground, &forge.hands)
        );
        drop((one, two));
        forge.pass().await;
        assert!(matches!(forge.run(1).await, Some((_, RunState::Waiting))));
        assert!(forge.run(2).await.is_none(), "one trigger, one run");
        let plan: Plan = serde_json::from_str(&forge.column("SELECT plan FROM run").await).unwrap();
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["style", "web", "contents"], "publish is for release branches");
        assert_eq!(plan.parallel_steps, 3);
        let PlannedWork::Build { repository, bases, .. } = &plan.steps[1].work else {
            panic!("web is a build");
        };
        assert_eq!(repository.as_str(), "registry.example/quarantine/shop/web");
        assert_eq!(bases, &[image("base/python")]);
        assert_eq!(plan.steps[2].needs.iter().map(Name::as_str).collect::<Vec<_>>(), ["web"]);
        assert_eq!(plan.steps[0].env["SALLYPORT_BRANCH"], "main");
        assert_eq!(forge.column("SELECT commit_title FROM run").await, "Sell more");
        assert_eq!(forge.column("SELECT author_email FROM run").await, "mara@shop.example");
    }

    fn a_broken_file_starts_a_run_that_ends_invalid_with_every_complaint(db: Db) {
        let forge = Forge::new(db).await;
        let broken = PIPELINE.replace("needs: [style]", "needs: [stile]").replace("version: 1", "version: 2");
        let commit = forge.commits(&[(".sallyport.yml", &broken), ("Dockerfile", &dockerfile())]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        assert!(matches!(forge.run(1).await, Some((_, RunState::Invalid { .. }))));
        let complaints = forge.column("SELECT complaints FROM run").await;
        assert!(complaints.contains("did you mean `style`?"), "{complaints}");
        assert!(complaints.contains("\"line\":1,"), "{complaints}");
        assert!(complaints.contains("error[unknown-step]"), "{complaints}");
    }

    fn a_file_that_is_too_large_is_said_to_be_that(db: Db) {
        let forge = Forge::new(db).await;
        let large = format!("{PIPELINE}# {}\n", "x".repeat(300 * 1024));
        let commit = forge.commits(&[(".sallyport.yml", &large)]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let complaints = forge.column("SELECT complaints FROM run").await;
        assert!(complaints.contains("error[too-large]"), "{complaints}");
    }

    fn a_chain_of_links_that_leads_out_is_invalid(db: Db) {
        let forge = Forge::new(db).await;
        // `here/.` is the top, so that `here/..` is above it.
        let files = [(".sallyport.yml", PIPELINE), ("Dockerfile", &dockerfile()), ("@here", "."), ("@out", "here/../x")];
        let commit = forge.commits(&files);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let complaints = forge.column("SELECT complaints FROM run").await;
        assert!(complaints.contains("error[link-outside]") && complaints.contains("--> out:1:1"), "{complaints}");
    }

    fn a_dockerfile_from_elsewhere_is_invalid_with_its_line(db: Db) {
        let forge = Forge::new(db).await;
        let evil = "# base\nFROM docker.io/library/python:3.12\n";
        let commit = forge.commits(&[(".sallyport.yml", PIPELINE), ("Dockerfile", evil)]);
        forge.triggers("t1", &commit).await;
        let commit = forge.commits(&[(".sallyport.yml", PIPELINE)]);
        forge.triggers("t2", &commit).await;
        forge.pass().await;
        let complaints = forge.column("SELECT complaints FROM run WHERE number = 1").await;
        assert!(complaints.contains("--> Dockerfile:2:6"), "{complaints}");
        let complaints = forge.column("SELECT complaints FROM run WHERE number = 2").await;
        assert!(complaints.contains("there is no file `Dockerfile`"), "{complaints}");
    }

    fn a_commit_that_is_gone_and_a_link_that_leads_out_do_not_hold_up_the_others(db: Db) {
        let forge = Forge::new(db).await;
        forge.triggers("t1", &"ab".repeat(20)).await;
        let files = [(".sallyport.yml", PIPELINE), ("Dockerfile", &dockerfile()), ("@passwd", "../../etc/passwd")];
        let commit = forge.commits(&files);
        forge.triggers("t2", &commit).await;
        let commit = forge.commits(&files[..2]);
        forge.triggers("t3", &commit).await;
        forge.pass().await;
        // It may still come; the others do not wait for it.
        assert!(matches!(forge.run(1).await, Some((_, RunState::Invalid { .. }))));
        assert!(matches!(forge.run(2).await, Some((_, RunState::Waiting))));
        assert!(forge.run(3).await.is_none());
        for _ in 0..4 {
            forge.clock.advance(Duration::from_secs(301));
            forge.pass().await;
        }
        let gone = Cause::Refused { why: "the commit is not in the repository any more".to_owned() };
        assert!(matches!(forge.run(3).await, Some((_, RunState::Refused { cause, .. })) if cause == gone));
    }

    fn a_run_that_cannot_be_made_is_tried_again_and_then_says_why(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", PIPELINE), ("Dockerfile", &dockerfile())]);
        let (path, away) = (forge.folder.path().join("shop.git"), forge.folder.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        forge.triggers("t1", &commit).await;
        for attempt in 1..=ATTEMPTS_MAX {
            assert!(forge.run(1).await.is_none(), "{attempt}");
            forge.pass().await;
            // Its time has not come.
            forge.pass().await;
            forge.clock.advance(Duration::from_secs(601));
        }
        let Some((id, RunState::Refused { cause: Cause::Refused { why }, .. })) = forge.run(1).await else {
            panic!("not refused");
        };
        assert!(why.contains("it could not be prepared") && why.contains("shop.git"), "{why}");
        // The repository is back, and a person runs it again.
        std::fs::rename(&away, &path).unwrap();
        again(&forge.ground, &id, &Actor::Host { uid: 0 }).await.unwrap();
        forge.pass().await;
        assert!(matches!(forge.run(2).await, Some((_, RunState::Waiting))));
        // Its branch goes, and garbage is collected: the commit is kept.
        let git = |words: &[&str]| {
            let mirror = forge.folder.path().join(format!("mirrors/{PROJECT}.git"));
            let done = std::process::Command::new("git").arg("--git-dir").arg(mirror).args(words).status();
            assert!(done.unwrap().success(), "git {words:?}");
        };
        git(&["update-ref", "-d", "refs/heads/main"]);
        git(&["gc", "-q", "--prune=now"]);
        let commit = contract::digest::CommitId::parse(&commit).unwrap();
        assert!(forge.hands.mirrors.commit(PROJECT, &commit).await.unwrap().is_some());
    }

    fn a_good_run_tells_what_has_no_effect_yet(db: Db) {
        let forge = Forge::new(db).await;
        let pulls = PIPELINE.replace("on: {", "on: { pull-request: {},");
        let commit = forge.commits(&[(".sallyport.yml", &pulls), ("Dockerfile", &dockerfile())]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let (id, state) = forge.run(1).await.unwrap();
        assert_eq!(state, RunState::Waiting);
        let mut conn = forge.ground.db.reader().await.unwrap();
        let told = crate::run::complaints(&mut conn, &id).await.unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["severity"], "warning");
        let text = told[0]["rendered"].as_str().unwrap();
        assert!(text.starts_with("warning[not-yet]: pull requests start nothing yet"), "{text}");
    }

    fn running_again_is_a_new_run_of_the_same_commit(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", "version: 1\n")]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let (first, _) = forge.run(1).await.unwrap();
        let host = Actor::Host { uid: 0 };
        let wishes = || again(&forge.ground, &first, &host);
        assert_eq!(wishes().await.unwrap(), Again::Asked);
        assert_eq!(wishes().await.unwrap(), Again::AskedBefore, "it is not made yet");
        assert!(forge.run(2).await.is_none(), "nobody waits for the repository");
        forge.pass().await;
        forge.pass().await;
        let (_, state) = forge.run(2).await.unwrap();
        assert!(forge.run(3).await.is_none(), "one run a wish");
        assert_eq!(forge.column("SELECT wished_by FROM run_wish WHERE consumed_at IS NOT NULL").await, "host(0)");
        assert!(matches!(state, RunState::Invalid { .. }));
        assert_eq!(forge.column("SELECT again_of_id FROM run WHERE number = 2").await, first.as_str());
        assert_eq!(forge.column("SELECT CAST(attempt AS TEXT) FROM run WHERE number = 2").await, "2");
        assert_eq!(wishes().await.unwrap(), Again::Asked, "as often as somebody likes");
    }

    fn a_wish_that_cannot_be_read_and_a_project_with_many_do_not_hold_up_the_others(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", "version: 1\n")]);
        for trigger in ["t1", "t2", "t3"] {
            forge.triggers(trigger, &commit).await;
        }
        forge.pass().await;
        for number in 1..=3 {
            let (run, _) = forge.run(number).await.unwrap();
            again(&forge.ground, &run, &Actor::Host { uid: 0 }).await.unwrap();
        }
        let mut conn = forge.ground.db.reader().await.unwrap();
        let now = forge.ground.now();
        let due = crate::run::store::waiting_wishes(&mut conn, now, 1, 500).await.unwrap();
        assert_eq!(due.len(), 1, "no more than a project's share");
        drop(conn);
        let write = forge.ground.db.write("test.broken", |conn| {
            Box::pin(async move {
                crate::execute!(conn, "UPDATE trigger SET commit_id = 'none' WHERE id = 't1'")?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
        forge.pass().await;
        assert!(forge.run(5).await.is_some(), "the two others");
        assert!(forge.run(6).await.is_none());
    }

    fn what_is_not_over_is_not_run_again(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", PIPELINE), ("Dockerfile", &dockerfile())]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let (waits, _) = forge.run(1).await.unwrap();
        let host = Actor::Host { uid: 0 };
        assert_eq!(again(&forge.ground, &waits, &host).await.unwrap(), Again::StillOpen);
        let nobody = RunId::new(&*forge.ground.ids);
        assert_eq!(again(&forge.ground, &nobody, &host).await.unwrap(), Again::NoSuchRun);
    }

    fn a_run_again_whose_repository_is_away_is_tried_and_then_says_why(db: Db) {
        let forge = Forge::new(db).await;
        let commit = forge.commits(&[(".sallyport.yml", "version: 1\n")]);
        forge.triggers("t1", &commit).await;
        forge.pass().await;
        let (first, _) = forge.run(1).await.unwrap();
        // The mirror is lost, and the repository does not answer.
        std::fs::remove_dir_all(forge.folder.path().join("mirrors")).unwrap();
        std::fs::rename(forge.folder.path().join("shop.git"), forge.folder.path().join("away")).unwrap();
        again(&forge.ground, &first, &Actor::Host { uid: 0 }).await.unwrap();
        for attempt in 1..=ATTEMPTS_MAX {
            assert!(forge.run(2).await.is_none(), "{attempt}");
            forge.pass().await;
            forge.clock.advance(Duration::from_secs(601));
        }
        let Some((_, RunState::Refused { cause: Cause::Refused { why }, .. })) = forge.run(2).await else {
            panic!("not refused");
        };
        assert!(why.contains("it could not be prepared"), "{why}");
    }

    fn the_same_commit_gives_the_same_archive(db: Db) {
        let forge = Forge::new(db).await;
        let files = [("b", "two"), ("a", "one"), ("@link", "a")];
        let commit = contract::digest::CommitId::parse(&forge.commits(&files)).unwrap();
        let address = forge.folder.path().join("shop.git");
        let mut archives = Vec::new();
        for mirrors in ["m1", "m2"] {
            let mirrors = Mirrors::new(&forge.folder.path().join(mirrors));
            mirrors.fetch("p", address.to_str().unwrap()).await.unwrap();
            archives.push(mirrors.archive("p", &commit).await.unwrap());
        }
        assert_eq!(archives[0], archives[1]);
        let crate::source::Archive::Tar(tar) = &archives[0] else {
            panic!("nothing is wrong with these files");
        };
        let mut names = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 1_700_000_000));
            names.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(names, ["a", "b", "link"]);
    }
}
