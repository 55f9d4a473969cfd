use super::*;
use crate::clock::SystemClock;
use crate::db::Db;
use crate::gate::{Holding, Requester};
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::PersonId;
use crate::image::{Release, ReleaseId};
use crate::project::ApplyOutcome;
use contract::digest::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

const SETTINGS: &str = "
version: 1
project: shop
source: { git: /srv/shop.git }
quarantine: r.example/quarantine/shop
known-registries: [r.example/base/*]
environments:
  dev: { repository: r.example/dev/shop, promote: automatic, gate: {} }
  other: { repository: r.example/other/shop, promote: automatic, gate: {} }
  prod:
    after: [dev]
    repository: r.example/prod/shop
    promote: by-hand
    gate:
      approvals: [{ from: release-manager, count: 2 }]
";

struct Office {
    ground: Ground,
    text: String,
    version: i64,
}

impl Office {
    fn on(db: Db) -> Self {
        let clock = Arc::new(SystemClock);
        let ids = Arc::new(SystemIds::new(clock.clone()));
        Self {
            ground: Ground { db, clock, ids },
            text: SETTINGS.to_owned(),
            version: 0,
        }
    }

    /// People of the story are their names.
    async fn person(&self, name: &str) -> Actor {
        let id = PersonId::new(&*self.ground.ids);
        let (row, name) = (id.to_string(), name.to_owned());
        let actor = Actor::Person {
            id,
            name: name.clone(),
        };
        let write = self.ground.db.write("test.person", move |conn| {
            Box::pin(async move {
                crate::execute!(
                    conn,
                    "INSERT INTO person (id, name, display_name, created_at) VALUES ($1, $2, $2, 1)",
                    &row,
                    &name
                )?;
                Ok::<(), crate::db::Error>(())
            })
        });
        write.await.unwrap();
        actor
    }

    /// Somebody changes a part of the document.
    async fn edits(&mut self, who: &Actor, part: &str, into: &str) {
        assert!(self.text.contains(part), "{part}");
        self.text = self.text.replace(part, into);
        let document = self.text.clone().into_bytes();
        let applied = project::apply(&self.ground, who, self.version, document).await;
        let Ok(ApplyOutcome::Applied { version, .. }) = applied else {
            panic!("{applied:?}");
        };
        self.version = version;
    }

    /// Who may not approve for production, by id or as stored, while it holds what was let in by a
    /// version.
    async fn editors(&self, entered: Option<i64>) -> Editors {
        let mut conn = self.ground.db.reader().await.unwrap();
        let project = project::by_name(&mut conn, "shop").await.unwrap().unwrap();
        let now = project::current_settings(&mut conn, project.id.as_str()).await;
        let now = now.unwrap().unwrap();
        let id = "01990000-0000-7000-8000-000000000003";
        let subject = Subject {
            project_id: project.id.to_string(),
            promotion_id: id.to_owned(),
            environment: now.settings.environment("prod").unwrap().clone(),
            settings: now.settings,
            settings_version: now.version,
            release: Release {
                id: ReleaseId::parse(id).unwrap(),
                project_id: project.id.to_string(),
                run_id: id.to_owned(),
                digest: Digest::of(b"release"),
                images: BTreeMap::new(),
                made_at: 0,
            },
            requester: Requester::Rule,
            placements: Vec::new(),
            holds: entered.map(|settings_version| Holding {
                commit: "c".to_owned(),
                settings_version,
            }),
        };
        editors(&mut conn, &subject).await.unwrap()
    }
}

fn is(people: &[&Actor]) -> Editors {
    let id = |actor: &&Actor| actor.person().unwrap().to_string();
    Editors {
        people: people.iter().map(id).collect(),
        nobodies: Vec::new(),
        complete: true,
    }
}

crate::store_tests! {
    fn a_version_that_says_something_else_launders_nobody(db: Db) {
        let mut office = Office::on(db);
        let (ada, gil, kim) = (office.person("ada").await, office.person("gil").await, office.person("kim").await);
        office.edits(&ada, "version", "version").await;
        assert_eq!(office.editors(None).await, is(&[&ada]), "who made it edited it");
        office.edits(&gil, "count: 2", "count: 1").await;
        office.edits(&kim, "environments:", "limits: { timeout: 20m }\nenvironments:").await;
        office.edits(&kim, "  other: { repository: r.example/other", "  other: { repository: r.example/another").await;
        assert_eq!(office.editors(None).await, is(&[&gil, &ada]), "limits and another environment are not the gate");
        assert_eq!(office.editors(Some(1)).await, is(&[&gil]), "since the release entered");
        assert_eq!(office.editors(Some(4)).await, is(&[&gil]), "and in any case the last one");
    }

    fn everybody_who_altered_it_since_the_release_entered_counts(db: Db) {
        let mut office = Office::on(db);
        let (ada, gil, kim) = (office.person("ada").await, office.person("gil").await, office.person("kim").await);
        office.edits(&ada, "version", "version").await;
        office.edits(&gil, "count: 2", "count: 1").await;
        // Put back by another, and taken down again by a third: the first is not forgotten.
        office.edits(&ada, "count: 1", "count: 2").await;
        office.edits(&kim, "count: 2", "count: 1").await;
        assert_eq!(office.editors(Some(1)).await, is(&[&kim, &ada, &gil]));
        assert_eq!(office.editors(Some(2)).await, is(&[&kim, &ada]));
        assert_eq!(office.editors(Some(4)).await, is(&[&kim]));
    }

    fn what_the_gate_rests_on_counts(db: Db) {
        let mut office = Office::on(db);
        let (ada, gil) = (office.person("ada").await, office.person("gil").await);
        office.edits(&ada, "version", "version").await;
        for (part, into) in [
            ("dev: { repository: r.example/dev/shop", "dev: { repository: r.example/dev2/shop"),
            ("r.example/base/*", "r.example/base/*, r.example/evil/*"),
            ("/srv/shop.git", "/srv/other.git"),
            ("quarantine/shop", "quarantine/shop2"),
            ("source:", "pipeline: other.yml\nsource:"),
            ("source:", "trust: { outsiders: untrusted }\nsource:"),
        ] {
            office.edits(&gil, part, into).await;
            assert_eq!(office.editors(Some(office.version)).await, is(&[&gil]), "{into}");
            office.edits(&ada, into, part).await;
            assert_eq!(office.editors(Some(office.version)).await, is(&[&ada]), "back from {into}");
        }
    }

    fn an_environment_that_went_and_came_back_was_edited(db: Db) {
        let mut office = Office::on(db);
        let (ada, gil, kim) = (office.person("ada").await, office.person("gil").await, office.person("kim").await);
        office.edits(&ada, "version", "version").await;
        let prod = SETTINGS[SETTINGS.find("  prod:").unwrap()..].to_owned();
        office.edits(&gil, &prod, "").await;
        office.text.push_str(&prod);
        office.edits(&kim, "version", "version").await;
        assert_eq!(office.editors(Some(1)).await, is(&[&kim, &gil]));
    }

    fn who_cannot_be_matched_is_told(db: Db) {
        let mut office = Office::on(db);
        office.edits(&Actor::Host { uid: 0 }, "version", "version").await;
        let told = Editors { people: Vec::new(), nobodies: vec!["host(0)".to_owned()], complete: true };
        assert_eq!(office.editors(None).await, told);
    }

    fn what_lies_too_far_back_is_said(db: Db) {
        let mut office = Office::on(db);
        let ada = office.person("ada").await;
        office.edits(&ada, "version", "version").await;
        office.edits(&ada, "environments:", "limits: { timeout: 0001s }\nenvironments:").await;
        for number in 1..VERSIONS_MAX {
            let (old, new) = (format!("{number:04}s"), format!("{:04}s", number + 1));
            office.edits(&ada, &old, &new).await;
        }
        let editors = office.editors(Some(office.version)).await;
        assert_eq!(editors, Editors::default(), "the last that altered it is the {VERSIONS_MAX}th before");
    }
}
