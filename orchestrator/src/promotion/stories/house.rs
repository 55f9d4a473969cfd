//! What the stories stand on: a real registry, a real signer behind its socket, a real repository with its
//! mirror, people, and releases of commits, with a clock that is told to go on.

use super::super::{
    AnswerOutcome, Asked, Hands, Promotion, PromotionId, PromotionState, RequestOutcome, answer,
    by_id, judge, pass, request,
};
use super::door::Door;
use super::rows;
use crate::attestation;
use crate::attestation::stories::{RealRegistry, free_port, start_signer};
use crate::blob::Blobs;
use crate::clock::{At, SteppedClock};
use crate::config;
use crate::db::{Db, Error};
use crate::gate::Judgement;
use crate::ground::Ground;
use crate::id::{SystemIds, random_hex};
use crate::identity::{Actor, PersonId, Session, of_cookie, person_by_name};
use crate::image::ReleaseId;
use crate::lifecycle::Tasks;
use crate::project::{self, ApplyOutcome};
use crate::reconcile::{Lanes, Progress};
use crate::registry::{Issuer, Registry, Tag};
use crate::source::Mirrors;
use contract::digest::Digest;
use contract::image::Repository;
use evidence::approval::Answer;
use evidence::{cosign, oci};
use p256::ecdsa::SigningKey;
use std::sync::Arc;
use std::time::Duration;

/// Passes until nothing moves: a promotion needs a handful; more is a circle.
const PASSES_MAX: usize = 20;
/// A pass of a story waits for all that it started.
const LANES_BOUND: Duration = Duration::from_secs(60);
/// A day's approvals, so that a story can wait for their end.
pub(super) const SETTINGS: &str = "
version: 1
project: shop
source: { git: \"@GIT@\" }
quarantine: \"@REGISTRY@/quarantine/shop\"
known-registries: [\"@REGISTRY@/base/*\"]
environments:
  dev: { repository: \"@REGISTRY@/dev/shop\", promote: automatic, gate: {} }
  staging:
    after: [dev]
    repository: \"@REGISTRY@/staging/shop\"
    promote: automatic
    gate:
      findings: { none-at-or-above: high }
      tests: { passed: all, at-least: 1 }
  prod:
    after: [staging]
    repository: \"@REGISTRY@/prod/shop\"
    promote: by-hand
    gate:
      approvals: [{ from: release-manager, count: 1, expires: 24h }]
";

/// What scanners and tests said of a run.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) tests_passed: i64,
    pub(super) tests_failed: i64,
    pub(super) high_findings: usize,
}

/// Nothing is wrong with it.
pub(super) const GOOD: Said = Said {
    tests_passed: 2,
    tests_failed: 0,
    high_findings: 0,
};

pub(super) struct House {
    pub(super) ground: Ground,
    pub(super) clock: Arc<SteppedClock>,
    pub(super) folder: tempfile::TempDir,
    pub(super) hands: Hands,
    pub(super) door: Option<Door>,
    running: Option<RealRegistry>,
    blobs: Blobs,
    repository: git2::Repository,
    tasks: Tasks,
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

impl House {
    /// With mara (developer, who pushes), ines and olga (release managers), ada (administrator, who
    /// applied the settings).
    pub(super) async fn new(db: &Db) -> Self {
        Self::furnished(db, false).await
    }

    /// The same with a door before the registry that can be told to refuse.
    pub(super) async fn with_a_door(db: &Db) -> Self {
        Self::furnished(db, true).await
    }

    async fn furnished(db: &Db, with_door: bool) -> Self {
        // What a pass could not do is logged.
        drop(tracing_subscriber::fmt().with_test_writer().try_init());
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SteppedClock::new(At(1_790_000_000_000_000)));
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let ground = Ground {
            db: db.clone(),
            clock: clock.clone(),
            ids,
        };
        let tasks = Tasks::default();
        let running = RealRegistry::start(folder.path(), free_port());
        let door = with_door.then(|| Door::before(running.port, &tasks));
        let port = door.as_ref().map_or(running.port, |door| door.port);
        let name = format!("127.0.0.1:{port}");
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let issuer = Arc::new(Issuer::new(key, "instance", &name).unwrap());
        let config = config::Registry {
            name,
            plain_http: true,
            ca_file: None,
            timeout_secs: 30,
        };
        let hands = Hands {
            registry: Registry::new(&config, issuer, ground.clone()).unwrap(),
            signer: start_signer(&ground, folder.path(), &tasks).await,
            mirrors: Mirrors::new(&folder.path().join("mirrors")),
            lanes: Lanes::new(&tasks, LANES_BOUND, Vec::new()),
            instance_id: "instance".to_owned(),
        };
        let house = Self {
            blobs: Blobs::new(&folder.path().join("blobs")),
            repository: git2::Repository::init_bare(folder.path().join("shop.git")).unwrap(),
            ground,
            clock,
            folder,
            hands,
            door,
            running: Some(running),
            tasks,
        };
        house.person("mara", &["developer"]).await;
        house.person("ines", &["release-manager"]).await;
        house.person("olga", &["release-manager"]).await;
        house.person("ada", &["admin"]).await;
        house
            .settings(&house.signed_in("ada").await, SETTINGS)
            .await;
        house
    }

    /// A person with a verified address `<name>@shop.example`.
    pub(super) async fn person(&self, name: &'static str, roles: &'static [&'static str]) {
        let id = PersonId::new(&*self.ground.ids).to_string();
        let write = self.ground.db.write("test.person", move |conn| {
            Box::pin(async move { rows::person(conn, &id, name, roles).await })
        });
        write.await.unwrap();
    }

    pub(super) async fn id_of(&self, name: &str) -> PersonId {
        let mut conn = self.ground.db.reader().await.unwrap();
        let person = person_by_name(&mut conn, name).await.unwrap().unwrap();
        person.person_id().unwrap()
    }

    /// The person as an actor of a page.
    pub(super) async fn signed_in(&self, name: &str) -> Actor {
        Actor::Person {
            id: self.id_of(name).await,
            name: name.to_owned(),
        }
    }

    /// A session in which the password was just given.
    pub(super) async fn session(&self, name: &str) -> Session {
        let cookie = random_hex(&*self.ground.ids, 32);
        let hash = Digest::of(cookie.as_bytes()).hex();
        let (person, at) = (self.id_of(name).await.to_string(), self.ground.now());
        let write = self.ground.db.write("test.session", move |conn| {
            Box::pin(async move { rows::session(conn, &hash, &person, at).await })
        });
        write.await.unwrap();
        of_cookie(&self.ground, &cookie).await.unwrap().unwrap()
    }

    pub(super) async fn project(&self) -> project::Project {
        let mut conn = self.ground.db.reader().await.unwrap();
        let found = project::by_name(&mut conn, "shop").await.unwrap();
        found.unwrap()
    }

    /// Applies settings as the next version.
    pub(super) async fn settings(&self, by: &Actor, text: &str) {
        let found = {
            let mut conn = self.ground.db.reader().await.unwrap();
            project::by_name(&mut conn, "shop").await.unwrap()
        };
        let from = found.map_or(0, |project| project.settings_version);
        let git = self.folder.path().join("shop.git").display().to_string();
        let text = text
            .replace("@REGISTRY@", self.hands.registry.name())
            .replace("@GIT@", &git);
        let applied = project::apply(&self.ground, by, from, text.into_bytes()).await;
        let applied = applied.unwrap();
        assert!(
            matches!(applied, ApplyOutcome::Applied { .. }),
            "{applied:?}"
        );
        if from == 0 {
            let project = self.project().await.id.to_string();
            let write = self.ground.db.write("test.hook", move |conn| {
                Box::pin(async move { rows::hook_and_worker(conn, &project).await })
            });
            write.await.unwrap();
        }
    }

    /// A commit on main by these two.
    pub(super) fn commit(&self, author: &str, committer: &str) -> String {
        let git = &self.repository;
        let who = |name: &str| {
            let time = git2::Time::new(1_700_000_000, 0);
            git2::Signature::new(name, &format!("{name}@shop.example"), &time).unwrap()
        };
        let tip = git.find_reference("refs/heads/main").ok();
        let parents: Vec<_> = tip
            .iter()
            .map(|tip| tip.peel_to_commit().unwrap())
            .collect();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let tree = git.treebuilder(None).unwrap().write().unwrap();
        let tree = git.find_tree(tree).unwrap();
        let (author, committer, message) = (who(author), who(committer), "Sell more");
        let commit = git.commit(None, &author, &committer, message, &tree, &parents);
        let commit = commit.unwrap();
        git.reference("refs/heads/main", commit, true, "push")
            .unwrap();
        commit.to_string()
    }

    /// A commit of mara's, pushed by her, built, scanned, tested and attested.
    pub(super) async fn release(&self, said: Said) -> ReleaseId {
        let commit = self.commit("mara", "mara");
        self.release_of(&commit, Some("mara"), said).await
    }

    /// The release of a commit that somebody pushed.
    pub(super) async fn release_of(
        &self,
        commit: &str,
        pusher: Option<&str>,
        said: Said,
    ) -> ReleaseId {
        self.release_by(commit, pusher, None, said).await
    }

    /// The release of a commit that somebody pushed, and of a run that somebody ran again.
    pub(super) async fn release_by(
        &self,
        commit: &str,
        pusher: Option<&str>,
        ran_again_by: Option<Actor>,
        said: Said,
    ) -> ReleaseId {
        // Releases have an order in time.
        self.clock.advance(Duration::from_secs(1));
        let repository = self.place("quarantine");
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","config":{{"Labels":{{"c":"{commit}"}}}}}}"#
        );
        let registry = &self.hands.registry;
        let config_digest = registry
            .put_blob(&repository, config.clone().into_bytes())
            .await
            .unwrap();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{config_digest}","size":{}}},"layers":[]}}"#,
            oci::IMAGE_MANIFEST,
            oci::IMAGE_CONFIG,
            config.len()
        );
        let media_type = oci::IMAGE_MANIFEST;
        registry
            .put_manifest(&repository, None, media_type, manifest.as_bytes())
            .await
            .unwrap();
        let release = ReleaseId::new(&*self.ground.ids);
        let author = self
            .repository
            .find_commit(git2::Oid::from_str(commit).unwrap());
        let author = author.unwrap();
        let text = |s: git2::Signature<'_>| String::from_utf8_lossy(s.email_bytes()).into_owned();
        let pusher = match pusher {
            Some(name) => Some(self.id_of(name).await.to_string()),
            None => None,
        };
        let run = rows::Run {
            project: self.project().await.id.to_string(),
            release: release.to_string(),
            run: self.ground.ids.uuid().to_string(),
            image: self.ground.ids.uuid().to_string(),
            commit: commit.to_owned(),
            author: text(author.author()),
            committer: text(author.committer()),
            pusher,
            ran_again_by,
            repository: repository.to_string(),
            manifest: manifest.into_bytes(),
            base: format!("{}/base/python@{}", registry.name(), Digest::of(b"base")),
            sbom: self
                .blobs
                .put(br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#.to_vec())
                .await
                .unwrap(),
            said,
            at: self.ground.now(),
        };
        let write = self.ground.db.write("test.run", move |conn| {
            let run = run.clone();
            Box::pin(async move { rows::run(conn, &run).await })
        });
        write.await.unwrap();
        self.attests().await;
        release
    }

    /// States, signs and publishes what waits for that.
    pub(super) async fn attests(&self) {
        let hands = attestation::Hands {
            signer: &self.hands.signer,
            registry: &self.hands.registry,
            blobs: &self.blobs,
            public_url: "http://localhost:7420",
        };
        attestation::pass(&self.ground, &hands).await.unwrap();
    }

    /// Passes until nothing moves any more.
    pub(super) async fn passes(&self) {
        for _ in 0..PASSES_MAX {
            if pass(&self.ground, &self.hands).await.unwrap() == Progress::Idle {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// One pass.
    pub(super) async fn passes_once(&self) {
        pass(&self.ground, &self.hands).await.unwrap();
    }

    /// Asks for a release to enter production, and lets the gate be asked.
    pub(super) async fn requests(&self, by: &Actor, release: &ReleaseId) -> PromotionId {
        self.requests_into("prod", by, release).await
    }

    /// The same for any environment.
    pub(super) async fn requests_into(
        &self,
        environment: &str,
        by: &Actor,
        release: &ReleaseId,
    ) -> PromotionId {
        let project = self.project().await.id;
        let outcome = request(&self.ground, by, project.as_str(), environment, release).await;
        let RequestOutcome::Requested(id) = outcome.unwrap() else {
            panic!("not requested");
        };
        self.passes().await;
        id
    }

    /// A release of mara's that is in staging, requested for production by her.
    pub(super) async fn waiting_for_prod(&self) -> (ReleaseId, PromotionId) {
        let release = self.release(GOOD).await;
        self.passes().await;
        let promotion = self.requests(&self.signed_in("mara").await, &release).await;
        (release, promotion)
    }

    /// Answers in a fresh sign-in, to what is shown now.
    pub(super) async fn answers(
        &self,
        name: &str,
        promotion: &PromotionId,
        said: Answer,
    ) -> AnswerOutcome {
        let session = self.session(name).await;
        self.answers_in(&session, promotion, said).await
    }

    pub(super) async fn answers_in(
        &self,
        session: &Session,
        promotion: &PromotionId,
        said: Answer,
    ) -> AnswerOutcome {
        let evidence = match self.judged(promotion).await {
            Some(judgement) => judgement.evidence,
            None => Digest::of(b"nothing"),
        };
        let asked = Asked {
            promotion: promotion.clone(),
            answer: said,
            reason: "tried it".to_owned(),
            evidence,
        };
        let outcome = answer(&self.ground, &self.hands, session, asked).await;
        outcome.unwrap()
    }

    pub(super) async fn promotion(&self, id: &PromotionId) -> Promotion {
        let mut conn = self.ground.db.reader().await.unwrap();
        by_id(&mut conn, id).await.unwrap().unwrap()
    }

    pub(super) async fn state(&self, id: &PromotionId) -> &'static str {
        self.promotion(id).await.state.as_str()
    }

    /// What its gate says now.
    pub(super) async fn judged(&self, id: &PromotionId) -> Option<Judgement> {
        let promotion = self.promotion(id).await;
        judge(&self.ground, &promotion).await.unwrap()
    }

    /// The promotions into an environment, newest first.
    pub(super) async fn all_into(&self, environment: &str) -> Vec<Promotion> {
        let project = self.project().await.id;
        let mut conn = self.ground.db.reader().await.unwrap();
        let all = super::super::of_project(&mut conn, project.as_str(), (i64::MAX, ""), 100).await;
        let mut found = all.unwrap();
        found.retain(|promotion| promotion.environment.as_str() == environment);
        found
    }

    /// The only promotion into an environment.
    pub(super) async fn only_into(&self, environment: &str) -> Promotion {
        let mut found = self.all_into(environment).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Why a promotion failed.
    pub(super) async fn failure(&self, id: &PromotionId) -> String {
        let state = self.promotion(id).await.state;
        let PromotionState::Failed { cause, .. } = state else {
            panic!("not failed: {state:?}");
        };
        cause
    }

    /// The release that an environment holds.
    pub(super) async fn holds(&self, environment: &str) -> Option<String> {
        let project = self.project().await.id;
        let mut conn = self.ground.db.reader().await.unwrap();
        let held = super::super::in_environment(&mut conn, project.as_str(), environment).await;
        held.unwrap().map(|placed| placed.release_id)
    }

    pub(super) fn place(&self, place: &str) -> Repository {
        Repository::parse(&format!("{}/{place}/shop/web", self.hands.registry.name())).unwrap()
    }

    /// What a tag names in an environment.
    pub(super) async fn tagged(&self, place: &str, tag: &str) -> Option<Digest> {
        let (tag, place) = (Tag::parse(tag).unwrap(), self.place(place));
        let found = self.hands.registry.manifest_of_tag(&place, &tag).await;
        found.unwrap().map(|manifest| manifest.digest)
    }

    /// Whether an environment's own signature of a digest lies there.
    pub(super) async fn is_signed(&self, place: &str, digest: &Digest) -> bool {
        let tag = cosign::signature_tag(digest);
        self.tagged(place, &tag).await.is_some()
    }

    pub(super) fn registry_goes(&mut self) -> u16 {
        self.running.take().unwrap().port
    }

    pub(super) fn registry_returns(&mut self, port: u16) {
        self.running = Some(RealRegistry::start(self.folder.path(), port));
    }

    /// How many audit entries of a kind there are about a promotion.
    pub(super) async fn entries(&self, kind: &str) -> i64 {
        let mut conn = self.ground.db.reader().await.unwrap();
        rows::entries(&mut conn, kind).await.unwrap()
    }

    /// Runs a statement, as a day on which something changes.
    pub(super) async fn happens(&self, sql: &'static str) {
        let write = self.ground.db.write("test.happens", move |conn| {
            Box::pin(async move {
                crate::execute!(conn, sql)?;
                Ok::<(), Error>(())
            })
        });
        write.await.unwrap();
    }
}
