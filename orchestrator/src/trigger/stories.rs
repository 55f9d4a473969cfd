//! Stories of triggers on both databases, over real repositories: what each delivery starts, and why not.

use super::{Hands, RetryRow, TriggerRow, of_delivery, pass, retry_of};
use crate::blob::Blobs;
use crate::clock::{At, SteppedClock};
use crate::db::{self, Db};
use crate::delivery::{GitBody, GitRef, REFS_MAX};
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::lifecycle::Tasks;
use crate::reconcile::{ATTEMPTS_MAX, Lanes};
use crate::source::Mirrors;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A pass of a test waits for all that it started.
const LANES_BOUND: Duration = Duration::from_secs(60);
const ZERO: &str = "0000000000000000000000000000000000000000";

const ANY: &str = "version: 1
on: { push: { branches: [main, \"rel/*\"], tags: [\"v*\"] } }
steps: { style: { analyze: { tools: [hadolint] } } }
";
const DOCS: &str = "version: 1
on: { push: { paths: [\"docs/**\"] } }
steps: { style: { analyze: { tools: [hadolint] } } }
";

struct House {
    ground: Ground,
    clock: Arc<SteppedClock>,
    hands: Hands,
    folder: tempfile::TempDir,
}

/// A project with its repository.
struct Shop {
    project: String,
    path: PathBuf,
    git: git2::Repository,
}

impl House {
    fn on(db: Db) -> Self {
        let clock = Arc::new(SteppedClock::new(At(1_790_000_000_000_000)));
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands {
            mirrors: Mirrors::new(&folder.path().join("mirrors")),
            blobs: Blobs::new(&folder.path().join("blobs")),
            lanes: Lanes::new(&Tasks::default(), LANES_BOUND, Vec::new()),
        };
        let ground = Ground {
            db,
            clock: clock.clone(),
            ids,
        };
        Self {
            ground,
            clock,
            hands,
            folder,
        }
    }

    /// A project whose source is a repository of this host.
    async fn shop(&self, name: &'static str) -> Shop {
        let path = self.folder.path().join(name);
        let git = git2::Repository::init_bare(&path).unwrap();
        self.project(name, &path.display().to_string()).await;
        Shop {
            project: project_id(name),
            path,
            git,
        }
    }

    /// A project with this source, and its hook.
    async fn project(&self, name: &'static str, source: &str) {
        let settings = format!(
            "version: 1\nproject: {name}\nsource: {{ git: \"{source}\" }}\n\
             quarantine: registry.example/quarantine/{name}\n"
        );
        let id = project_id(name);
        let write = self.ground.db.write("test.project", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                     VALUES ($1, $2, 1, 1, 0, 0)",
                    &id,
                    name
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO project_settings (project_id, version, document, digest, applied_at, applied_by)
                     VALUES ($1, 1, $2, 'd', 1, 'system')",
                    &id,
                    settings.into_bytes()
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO hook (id, project_id, provider, created_at) VALUES ($1, $2, 'git', 1)",
                    name,
                    &id
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
    }

    /// A delivery of a project, as the intake stores it.
    async fn delivered(&self, id: &str, project: &'static str, sent: Sent) {
        let (id, body) = (id.to_owned(), sent.body);
        let at = self.ground.now();
        let write = self.ground.db.write("test.delivery", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                         body_digest, body_bytes, body, signature, secret_id, address, received_at,
                         replays_id, audit_id)
                     VALUES ($1, $2, $3, $4, $1, $5, '{}', 'sha256:', 0, $6, '', 's', $7, $8, $9, 'a')",
                    &id,
                    project,
                    project_id(project),
                    sent.provider,
                    sent.event,
                    &body,
                    vec![0_u8; 16],
                    at.0,
                    sent.replays
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
    }

    async fn pass(&self) {
        pass(&self.ground, &self.hands).await.unwrap();
    }

    /// Passes until a commit that is not there is not waited for any more.
    async fn waits_out_the_lag(&self, delivery: &str) {
        self.pass().await;
        let mut secs = 0;
        while let Some(waits) = self.waits(delivery).await {
            assert!(
                waits.problem.contains("does not have commit"),
                "{}",
                waits.problem
            );
            assert!(secs <= 1_200, "without end");
            self.clock.advance(Duration::from_secs(60));
            secs += 60;
            self.pass().await;
        }
        assert!(secs >= 600, "given up after {secs} s");
    }

    async fn triggers(&self, delivery: &str) -> Vec<TriggerRow> {
        let mut conn = self.ground.db.reader().await.unwrap();
        of_delivery(&mut conn, delivery).await.unwrap()
    }

    /// `ref decision, reason` of each ref of a delivery.
    async fn decided(&self, delivery: &str) -> Vec<String> {
        if let Some(waits) = self.waits(delivery).await {
            return vec![format!("waits: {}", waits.problem)];
        }
        let triggers = self.triggers(delivery).await;
        let one = |t: &TriggerRow| {
            let reason = if t.decision == "start" {
                ""
            } else {
                t.reason.as_str()
            };
            format!("{} {} {reason}", t.ref_name, t.decision)
                .trim()
                .to_owned()
        };
        triggers.iter().map(one).collect()
    }

    async fn waits(&self, delivery: &str) -> Option<RetryRow> {
        let mut conn = self.ground.db.reader().await.unwrap();
        retry_of(&mut conn, delivery).await.unwrap()
    }
}

fn project_id(name: &str) -> String {
    let digits: String = name.bytes().map(|b| format!("{b:02x}")).collect();
    format!("01900000-0000-7000-8000-{digits:0>12.12}")
}

/// What a sender sends.
struct Sent {
    provider: &'static str,
    event: &'static str,
    body: Vec<u8>,
    replays: Option<&'static str>,
}

/// Our own hook tells of refs: (name, before, after).
fn push(refs: &[(&str, &str, &str)]) -> Sent {
    let one = |(name, before, after): &(&str, &str, &str)| GitRef {
        ref_name: (*name).to_owned(),
        before: (*before).to_owned(),
        after: (*after).to_owned(),
    };
    let body = GitBody {
        v: 1,
        kind: "push".to_owned(),
        nonce: "n".to_owned(),
        pusher: Some("mara".to_owned()),
        refs: refs.iter().map(one).collect(),
    };
    Sent {
        provider: "git",
        event: "push",
        body: serde_json::to_vec(&body).unwrap(),
        replays: None,
    }
}

fn github(event: &'static str, body: &serde_json::Value) -> Sent {
    Sent {
        provider: "github",
        event,
        body: body.to_string().into_bytes(),
        replays: None,
    }
}

impl Shop {
    /// Commits files onto a ref; the commit's id.
    fn commits(&self, on: &str, files: &[(&str, &str)]) -> String {
        let git = &self.git;
        let mut index = git2::Index::new().unwrap();
        for (path, text) in files {
            let entry = git2::IndexEntry {
                ctime: git2::IndexTime::new(0, 0),
                mtime: git2::IndexTime::new(0, 0),
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id: git.blob(text.as_bytes()).unwrap(),
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).unwrap();
        }
        let tree = git.find_tree(index.write_tree_to(git).unwrap()).unwrap();
        let mara = mara();
        let tip = git.find_reference(on).ok();
        let parents: Vec<_> = tip
            .iter()
            .map(|tip| tip.peel_to_commit().unwrap())
            .collect();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let commit = git
            .commit(None, &mara, &mara, "Sell more", &tree, &parents)
            .unwrap();
        git.reference(on, commit, true, "").unwrap();
        commit.to_string()
    }

    /// An annotated tag: its id is not the commit's.
    fn tags(&self, name: &str, commit: &str) -> String {
        let object = self
            .git
            .find_object(git2::Oid::from_str(commit).unwrap(), None)
            .unwrap();
        let tag = self.git.tag(name, &object, &mara(), "release", false);
        tag.unwrap().to_string()
    }

    fn deletes(&self, name: &str) {
        self.git.find_reference(name).unwrap().delete().unwrap();
    }
}

fn mara() -> git2::Signature<'static> {
    let time = git2::Time::new(1_700_000_000, 0);
    git2::Signature::new("Mara", "mara@shop.example", &time).unwrap()
}

crate::store_tests! {
    fn each_ref_of_a_push_is_decided_by_itself(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let commit = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        let bare = shop.commits("refs/heads/bare", &[("README", "x")]);
        let refs = [
            ("refs/heads/main", ZERO, commit.as_str()),
            ("refs/heads/topic", ZERO, commit.as_str()),
            ("refs/heads/bare", ZERO, bare.as_str()),
            ("refs/heads/gone", commit.as_str(), ZERO),
            ("refs/heads/lost", ZERO, &"ab".repeat(20)),
            ("refs/notes/x", ZERO, commit.as_str()),
        ];
        house.delivered("d1", "shop", push(&refs)).await;
        house.waits_out_the_lag("d1").await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, [
            "refs/heads/bare skip no-pipeline-file",
            "refs/heads/gone skip deleted-ref",
            "refs/heads/lost skip commit-not-found",
            "refs/heads/main start",
            "refs/heads/topic skip branch-not-matched",
            "refs/notes/x skip ref-not-wanted",
        ]);
    }

    fn an_annotated_tag_starts_a_run_of_its_commit(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let commit = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        let tag = shop.tags("v1", &commit);
        let odd = shop.tags("nightly", &commit);
        let moved = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY), ("more", "x")]);
        shop.deletes("refs/tags/v1");
        let again = shop.tags("v1", &moved);
        assert_ne!(tag, commit);
        house.delivered("d1", "shop", push(&[("refs/tags/nightly", ZERO, &odd)])).await;
        house.delivered("d2", "shop", push(&[("refs/tags/v1", &tag, &again)])).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/tags/nightly skip tag-not-matched"]);
        assert_eq!(house.decided("d2").await, ["refs/tags/v1 start"]);
        assert_eq!(house.triggers("d2").await[0].commit_id.as_deref(), Some(moved.as_str()));
    }

    fn a_tag_of_something_else_than_a_commit_starts_nothing(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let blob = shop.git.blob(b"a key").unwrap().to_string();
        let tag = shop.tags("v-key", &blob);
        house.delivered("d1", "shop", push(&[("refs/tags/v-key", ZERO, &tag)])).await;
        house.waits_out_the_lag("d1").await;
        assert_eq!(house.decided("d1").await, ["refs/tags/v-key skip commit-not-found"]);
    }

    fn a_branch_becomes_a_folder_of_branches_and_back(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let old = shop.commits("refs/heads/rel", &[(".sallyport.yml", ANY)]);
        house.delivered("d1", "shop", push(&[("refs/heads/rel", ZERO, &old)])).await;
        house.pass().await;
        shop.deletes("refs/heads/rel");
        let new = shop.commits("refs/heads/rel/1", &[(".sallyport.yml", ANY), ("new", "x")]);
        let refs = [("refs/heads/rel", old.as_str(), ZERO), ("refs/heads/rel/1", ZERO, new.as_str())];
        house.delivered("d2", "shop", push(&refs)).await;
        house.pass().await;
        assert_eq!(house.decided("d2").await, ["refs/heads/rel skip deleted-ref", "refs/heads/rel/1 start"]);
        shop.deletes("refs/heads/rel/1");
        let back = shop.commits("refs/heads/rel", &[(".sallyport.yml", ANY), ("back", "x")]);
        house.delivered("d3", "shop", push(&[("refs/heads/rel", ZERO, &back)])).await;
        house.pass().await;
        assert_eq!(house.decided("d3").await, ["refs/heads/rel skip branch-not-matched"]);
    }

    fn filters_of_paths_ask_what_the_push_changed(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let main = "refs/heads/main";
        let first = shop.commits(main, &[(".sallyport.yml", DOCS), ("src/a", "1")]);
        let code = shop.commits(main, &[(".sallyport.yml", DOCS), ("src/a", "2")]);
        let docs = shop.commits(main, &[(".sallyport.yml", DOCS), ("src/a", "2"), ("docs/a.md", "1")]);
        house.delivered("d1", "shop", push(&[(main, ZERO, &first)])).await;
        house.delivered("d2", "shop", push(&[(main, &first, &code)])).await;
        house.delivered("d3", "shop", push(&[(main, &code, &docs)])).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main start"], "what a new branch changes is not known");
        assert_eq!(house.decided("d2").await, ["refs/heads/main skip paths-not-matched"]);
        assert_eq!(house.decided("d3").await, ["refs/heads/main start"]);
    }

    fn replays_pull_requests_and_what_is_no_push_start_nothing(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let commit = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        let main = [("refs/heads/main", ZERO, commit.as_str())];
        house.delivered("d1", "shop", push(&main)).await;
        let replay = Sent { replays: Some("d1"), ..push(&main) };
        house.delivered("d2", "shop", replay).await;
        house.delivered("d3", "shop", github("pull_request", &serde_json::json!({}))).await;
        house.delivered("d4", "shop", github("ping", &serde_json::json!({}))).await;
        house.delivered("d5", "shop", github("push", &serde_json::json!([]))).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main start"]);
        assert_eq!(house.decided("d2").await, ["refs/heads/main skip replayed"]);
        assert_eq!(house.decided("d3").await, ["skip not-yet"]);
        assert_eq!(house.decided("d4").await, ["skip not-a-push"]);
        assert_eq!(house.decided("d5").await, ["skip not-understood"]);
    }

    fn a_push_to_another_repository_with_the_same_secret_starts_nothing(db: Db) {
        let house = House::on(db);
        house.project("shop", "https://forge.example/acme/shop.git").await;
        let body = serde_json::json!({ "ref": "refs/heads/main", "before": ZERO, "after": "ab".repeat(20),
            "repository": { "full_name": "acme/other" } });
        house.delivered("d1", "shop", github("push", &body)).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main skip other-repository"]);
        assert_eq!(house.triggers("d1").await[0].detail, "the push is to acme/other, the project's source is acme/shop");
    }

    fn a_repository_of_another_hash_is_said_at_once(db: Db) {
        let house = House::on(db);
        house.shop("shop").await;
        let after = "ab".repeat(32);
        house.delivered("d1", "shop", push(&[("refs/heads/main", &"0".repeat(64), &after)])).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main skip other-object-format"]);
    }

    fn a_repository_that_cannot_be_reached_is_given_up_visibly_and_holds_up_nobody(db: Db) {
        let house = House::on(db);
        house.project("away", "/nonexistent/away.git").await;
        // More than a pass takes of one project, all older than the others' deliveries.
        for i in 0..60 {
            let refs = [("refs/heads/main", ZERO, &*"ab".repeat(20))];
            house.delivered(&format!("a{i:02}"), "away", push(&refs)).await;
        }
        house.clock.advance(Duration::from_secs(1));
        let shop = house.shop("shop").await;
        let commit = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        house.delivered("d1", "shop", push(&[("refs/heads/main", ZERO, &commit)])).await;
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main start"]);
        let waits = house.waits("a00").await.unwrap();
        assert_eq!(waits.tries, 1);
        assert!(waits.problem.contains("/nonexistent/away.git"), "{}", waits.problem);
        house.pass().await;
        assert_eq!(house.waits("a00").await, Some(waits), "its time has not come");
        for _ in 1..ATTEMPTS_MAX {
            assert!(house.triggers("a00").await.is_empty());
            house.clock.advance(Duration::from_secs(601));
            house.pass().await;
        }
        assert_eq!(house.decided("a00").await, ["refs/heads/main skip source-unreachable"]);
        assert_eq!(house.waits("a00").await, None);
    }

    fn a_repository_that_comes_back_is_read_then(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let commit = shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        let away = shop.path.with_extension("away");
        std::fs::rename(&shop.path, &away).unwrap();
        house.delivered("d1", "shop", push(&[("refs/heads/main", ZERO, &commit)])).await;
        house.pass().await;
        assert_eq!(house.waits("d1").await.map(|waits| waits.tries), Some(1));
        std::fs::rename(&away, &shop.path).unwrap();
        house.clock.advance(Duration::from_secs(6));
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main start"]);
        assert_eq!(house.waits("d1").await, None);
    }

    fn a_delivery_whose_project_has_no_settings_ends_and_says_so(db: Db) {
        let house = House::on(db);
        house.shop("shop").await;
        house.ground.db.write("test.settings", |conn| Box::pin(async move {
            crate::execute!(conn, "DELETE FROM project_settings")?;
            Ok::<_, db::Error>(())
        })).await.unwrap();
        house.delivered("d1", "shop", push(&[("refs/heads/main", ZERO, &"ab".repeat(20))])).await;
        for _ in 0..ATTEMPTS_MAX {
            house.pass().await;
            house.clock.advance(Duration::from_secs(601));
        }
        assert_eq!(house.decided("d1").await, ["skip undecidable"]);
        let triggers = house.triggers("d1").await;
        assert!(triggers[0].detail.contains("the project's settings"), "{}", triggers[0].detail);
    }

    fn a_push_of_many_refs_is_fetched_once(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        shop.commits("refs/heads/main", &[(".sallyport.yml", ANY)]);
        let names: Vec<String> = (0..REFS_MAX).map(|i| format!("refs/heads/b{i:03}")).collect();
        let lost = "ab".repeat(20);
        let refs: Vec<_> = names.iter().map(|name| (name.as_str(), ZERO, lost.as_str())).collect();
        house.delivered("d1", "shop", push(&refs)).await;
        house.pass().await;
        assert_eq!(house.hands.mirrors.fetches.load(Ordering::SeqCst), 1);
        assert!(house.waits("d1").await.is_some(), "each of them was looked for");
    }

    fn a_commit_that_the_forge_shows_later_is_run_then(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let main = "refs/heads/main";
        let commit = shop.commits(main, &[(".sallyport.yml", ANY)]);
        // The replica that answers has not heard of it.
        let ahead = shop.path.with_extension("ahead");
        std::fs::rename(&shop.path, &ahead).unwrap();
        git2::Repository::init_bare(&shop.path).unwrap();
        house.delivered("d1", "shop", push(&[(main, ZERO, &commit)])).await;
        house.pass().await;
        let waits = house.waits("d1").await.unwrap();
        assert!(waits.problem.contains(&format!("does not have commit {commit} of {main} yet")), "{waits:?}");
        std::fs::remove_dir_all(&shop.path).unwrap();
        std::fs::rename(&ahead, &shop.path).unwrap();
        house.clock.advance(Duration::from_secs(6));
        house.pass().await;
        assert_eq!(house.decided("d1").await, ["refs/heads/main start"]);
    }

    fn an_old_delivery_that_comes_again_starts_nothing(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let main = "refs/heads/main";
        let file = |text| [(".sallyport.yml", ANY), ("a", text)];
        let old = shop.commits(main, &file("1"));
        house.delivered("d1", "shop", push(&[(main, ZERO, &old)])).await;
        house.pass().await;
        let new = shop.commits(main, &file("2"));
        house.delivered("d2", "shop", push(&[(main, &old, &new)])).await;
        house.pass().await;
        // The same bytes under another id, after the time in which that alone is refused.
        house.clock.advance(Duration::from_secs(8 * 24 * 3_600));
        house.delivered("d3", "shop", push(&[(main, ZERO, &old)])).await;
        house.pass().await;
        assert_eq!(house.decided("d2").await, ["refs/heads/main start"]);
        assert_eq!(house.decided("d3").await, ["refs/heads/main skip stale"]);
        // On another branch it is no step back.
        shop.git.reference("refs/heads/rel/1", git2::Oid::from_str(&old).unwrap(), false, "").unwrap();
        house.delivered("d4", "shop", push(&[("refs/heads/rel/1", ZERO, &old)])).await;
        // Really moved back, the branch stands there; and what was forced away is old from then on.
        shop.git.reference(main, git2::Oid::from_str(&old).unwrap(), true, "").unwrap();
        house.delivered("d5", "shop", push(&[(main, &new, &old)])).await;
        house.delivered("d6", "shop", push(&[(main, &old, &new)])).await;
        house.pass().await;
        assert_eq!(house.decided("d4").await, ["refs/heads/rel/1 start"]);
        assert_eq!(house.decided("d5").await, ["refs/heads/main start"]);
        assert_eq!(house.decided("d6").await, ["refs/heads/main skip stale"]);
    }

    fn quick_pushes_one_after_another_all_run(db: Db) {
        let house = House::on(db);
        let shop = house.shop("shop").await;
        let main = "refs/heads/main";
        let file = |text| [(".sallyport.yml", ANY), ("a", text)];
        let commits = ["1", "2", "3"].map(|text| shop.commits(main, &file(text)));
        // All are there before the first one is looked at.
        for (id, commit) in ["d1", "d2", "d3"].iter().zip(&commits) {
            house.delivered(id, "shop", push(&[(main, ZERO, commit)])).await;
            house.clock.advance(Duration::from_secs(1));
        }
        house.pass().await;
        for id in ["d1", "d2", "d3"] {
            assert_eq!(house.decided(id).await, ["refs/heads/main start"], "{id}");
        }
    }
}

/// Git refuses a repository of another user unless it is named; ours is, and no other.
#[tokio::test]
async fn a_repository_of_another_user_is_mirrored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.git");
    let shop = Shop {
        project: "shop".to_owned(),
        git: git2::Repository::init_bare(&path).unwrap(),
        path,
    };
    let commit = shop.commits("refs/heads/main", &[("a", "b")]);
    // Only root can give it away; to whoever else tests, git says of it below that it is another's.
    if nix::unistd::geteuid().is_root() {
        give_away(&shop.path, 65_531);
    }
    let mirrors = Mirrors::new(&folder.path().join("mirrors"));
    let address = shop.path.display().to_string();
    mirrors.fetch(&shop.project, &address).await.unwrap();
    let found = mirrors.resolve(&shop.project, "refs/heads/main").await;
    assert_eq!(found.unwrap().unwrap().as_str(), commit);
    let ours = folder.path().join("mirrors/shop.gitconfig");
    let other = folder.path().join("other.git");
    git2::Repository::init_bare(&other).unwrap();
    assert!(is_read_as_anothers(&shop.path, &ours));
    assert!(
        !is_read_as_anothers(&shop.path, Path::new("/dev/null")),
        "git would read anybody's"
    );
    assert!(
        !is_read_as_anothers(&other, &ours),
        "more is named than the source"
    );
}

/// Whether git with this configuration reads a repository that it takes for another user's.
fn is_read_as_anothers(repository: &Path, config: &Path) -> bool {
    let git = std::process::Command::new("git")
        .arg("ls-remote")
        .arg(repository)
        .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", config)
        .output();
    git.unwrap().status.success()
}

fn give_away(path: &Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path(), uid);
        }
    }
}
