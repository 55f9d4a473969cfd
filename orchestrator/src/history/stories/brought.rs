//! What a promotion brings, on both databases: against what its environment held then.

use super::super::brought::{Commit, Contributor, before, commits, contributors, counted};
use super::{SHOP, arrives, came, decided, house};
use crate::db::{Conn, Db};

/// Runs 1 to 3 with a release each, made of commits `c1` to `c3`.
async fn releases(db: &Db) -> Conn {
    let conn = house(db).await;
    for number in 1..=3 {
        let delivery = format!("d{number}");
        arrives(db, came(&delivery, number)).await;
        let start = ("start", "push");
        decided(
            db,
            &delivery,
            "refs/heads/main",
            start,
            Some((number, "passed")),
        )
        .await;
    }
    let made = db.write("test.releases", |conn| {
        Box::pin(async move {
            for number in 1..=3_i64 {
                crate::execute!(
                    conn,
                    "UPDATE run SET commit_id = $2 WHERE id = $1",
                    format!("run-{number}"),
                    format!("c{number}")
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO release (id, project_id, run_id, digest, made_at)
                     VALUES ($1, $2, $3, 'd', $4)",
                    format!("release-{number}"),
                    SHOP,
                    format!("run-{number}"),
                    number
                )?;
            }
            Ok::<_, crate::db::Error>(())
        })
    });
    made.await.unwrap();
    conn
}

/// A promotion of a run's release to `prod`, which ended so at this time; none: it waits.
async fn promoted(db: &Db, number: i64, release: i64, end: Option<(&'static str, i64)>) {
    let done = db.write("test.promotion", move |conn| {
        Box::pin(async move {
            let (id, release) = (format!("promotion-{number}"), format!("release-{release}"));
            let (state, at) = end.map_or(("waiting", None), |(state, at)| (state, Some(at)));
            let applied = at.filter(|_| state == "applied");
            if applied.is_some() {
                crate::execute!(
                    conn,
                    "INSERT INTO gate_decision (id, project_id, promotion_id, release_id, environment,
                         settings_version, outcome, conditions, evidence_digest, decision, decided_at)
                     VALUES ($1, $2, $1, $3, 'prod', 1, 'open', '[]', 'd', '', 1)",
                    &id,
                    SHOP,
                    &release
                )?;
            }
            crate::execute!(
                conn,
                "INSERT INTO promotion (id, project_id, number, release_id, environment, settings_version,
                     state, cause, requested_by, requested_at, gate_decision_id, applying_at, applied_at,
                     ended_at)
                 VALUES ($1, $2, $3, $4, 'prod', 1, $5, $6, 'system', 1, $7, $8, $8, $9)",
                &id,
                SHOP,
                number,
                &release,
                state,
                (state == "void").then_some("of a story"),
                applied.map(|_| &id),
                applied,
                at
            )?;
            if applied.is_some() {
                crate::execute!(
                    conn,
                    "INSERT INTO environment_release (project_id, environment, release_id, promotion_id,
                         since_at)
                     VALUES ($1, 'prod', $2, $3, 1)
                     ON CONFLICT (project_id, environment)
                     DO UPDATE SET release_id = $2, promotion_id = $3",
                    SHOP,
                    &release,
                    &id
                )?;
            }
            Ok::<_, crate::db::Error>(())
        })
    });
    done.await.unwrap();
}

/// The repository was read for two ranges that end in `c2`: mara wrote its commit, a program committed it.
async fn was_read(db: &Db) {
    let write = db.write("test.commits", |conn| {
        Box::pin(async move {
            crate::execute!(
                conn,
                "INSERT INTO person (id, name, display_name, created_at) VALUES ('p', 'mara', 'Mara', 1)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO email (id, address, person_id, verified_at) VALUES ('e', 'mara@shop.example', 'p', 1)"
            )?;
            for (base, head, title) in [("c1", "c2", "Count again"), ("", "c2", "Count")] {
                crate::execute!(
                    conn,
                    "INSERT INTO contribution (project_id, base_id, head_id, commits, complete, read_at)
                     VALUES ($1, $2, $3, 7, 0, 1)",
                    SHOP,
                    base,
                    head
                )?;
                for (address, name) in [("mara@shop.example", "m"), ("x@y.example", "Bot")] {
                    crate::execute!(
                        conn,
                        "INSERT INTO contributor (project_id, base_id, head_id, address, name, wrote,
                             committed)
                         VALUES ($1, $2, $3, $4, $5, 1, 0)",
                        SHOP,
                        base,
                        head,
                        address,
                        name
                    )?;
                }
                crate::execute!(
                    conn,
                    "INSERT INTO contribution_commit (project_id, base_id, head_id, place, commit_id,
                         title, author_name, author_address, committer_name, committer_address,
                         commit_time)
                     VALUES ($1, $2, $3, 0, 'c2', $4, 'm', 'mara@shop.example', 'Bot', 'x@y.example', 5)",
                    SHOP,
                    base,
                    head,
                    title
                )?;
            }
            Ok::<_, crate::db::Error>(())
        })
    });
    write.await.unwrap();
}

crate::store_tests! {
    fn a_promotion_is_measured_against_what_its_environment_held_then(db: Db) {
        let mut conn = releases(&db).await;
        promoted(&db, 1, 1, Some(("applied", 10))).await;
        promoted(&db, 2, 2, Some(("void", 20))).await;
        promoted(&db, 3, 3, Some(("applied", 30))).await;
        promoted(&db, 4, 2, None).await;
        promoted(&db, 5, 1, Some(("void", 5))).await;
        let mut held = async |number: i64| {
            let found = before(&mut conn, &format!("promotion-{number}")).await.unwrap();
            found.map(|found| (found.release_id, found.commit_id, found.run_number))
        };
        let of = |number: i64| Some((format!("release-{number}"), format!("c{number}"), number));
        assert_eq!(held(1).await, None, "the first one");
        assert_eq!(held(2).await, of(1));
        assert_eq!(held(3).await, of(1), "a void one brought nothing");
        assert_eq!(held(4).await, of(3), "what it holds now");
        assert_eq!(held(5).await, None, "before the first one");
        assert_eq!(held(6).await, None, "there is none");
        // One was given up with half of its tags: nothing is whole there now.
        let displaced = db.write("test.displaced", |conn| {
            Box::pin(async move {
                crate::execute!(conn, "DELETE FROM environment_release")?;
                Ok::<_, crate::db::Error>(())
            })
        });
        displaced.await.unwrap();
        assert_eq!(held(4).await, None, "as its gate sees it");
        assert_eq!(held(3).await, of(1), "what has ended stays as it was");
    }

    fn commits_and_people_are_those_of_one_range(db: Db) {
        let mut conn = releases(&db).await;
        assert_eq!(counted(&mut conn, SHOP, "c1", "c2").await.unwrap(), None, "nobody has looked");
        was_read(&db).await;
        assert_eq!(counted(&mut conn, SHOP, "c1", "c2").await.unwrap(), Some((7, 0)));
        let found = commits(&mut conn, SHOP, "c1", "c2").await.unwrap();
        let wanted = Commit {
            commit_id: "c2".to_owned(),
            title: "Count again".to_owned(),
            author_name: "m".to_owned(),
            committer_name: "Bot".to_owned(),
            author: Some("Mara".to_owned()),
            committer: None,
            commit_time: 5,
        };
        assert_eq!(found, [wanted]);
        let person = |name: &str, person: Option<&str>| Contributor {
            name: name.to_owned(),
            wrote: 1,
            committed: 0,
            person: person.map(str::to_owned),
        };
        let found = contributors(&mut conn, SHOP, "c1", "c2").await.unwrap();
        assert_eq!(found, [person("Bot", None), person("m", Some("Mara"))], "who maps to nobody first");
    }
}
