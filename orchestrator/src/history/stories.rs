//! Stories of the trigger history, on both databases: filters, places, and what may not be seen.

mod brought;

use super::*;
use crate::clock::At;
use crate::db::{Conn, Db};
use crate::identity::{Actor, Caller, Grant, Permission, Reach, Role};
use crate::network::Network;

const SHOP: &str = "01900000-0000-7000-8000-000000000001";
const BANK: &str = "01900000-0000-7000-8000-000000000002";
const MINUTE: i64 = 60_000_000;

/// Projects `shop` and `bank`, a hook each.
async fn house(db: &Db) -> Conn {
    let made = db.write("test.house", |conn| {
        Box::pin(async move {
            for (id, name) in [(SHOP, "shop"), (BANK, "bank")] {
                crate::execute!(
                    conn,
                    "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                     VALUES ($1, $2, 1, 1, 0, 0)",
                    id,
                    name
                )?;
                crate::execute!(
                    conn,
                    "INSERT INTO hook (id, project_id, provider, created_at) VALUES ($1, $2, 'github', 1)",
                    format!("hook-{name}"),
                    id
                )?;
            }
            Ok::<_, crate::db::Error>(())
        })
    });
    made.await.unwrap();
    db.reader().await.unwrap()
}

#[derive(Clone)]
struct Came {
    id: String,
    project: &'static str,
    at: i64,
    address: &'static str,
    ref_name: &'static str,
    sender: &'static str,
}

fn came(id: &str, at: i64) -> Came {
    Came {
        id: id.to_owned(),
        project: SHOP,
        at,
        address: "198.51.100.7",
        ref_name: "refs/heads/main",
        sender: "mara",
    }
}

fn octets(address: &str) -> Vec<u8> {
    let address = crate::network::mapped(address.parse().unwrap());
    address.octets().to_vec()
}

async fn arrives(db: &Db, came: Came) {
    let done = db.write("test.delivery", move |conn| {
        Box::pin(async move {
            let hook = if came.project == SHOP { "hook-shop" } else { "hook-bank" };
            crate::execute!(
                conn,
                "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                     body_digest, body_bytes, signature, secret_id, address, received_at, audit_id,
                     ref_name, commit_id, sender, consumed_at)
                 VALUES ($1, $2, $3, 'github', $1, 'push', '[]', $4, 2, 'hmac-sha256', 's', $5, $6, 'a',
                     $7, $8, $9, $6)",
                &came.id,
                hook,
                came.project,
                format!("sha256:{}", "ab".repeat(32)),
                octets(came.address),
                came.at,
                came.ref_name,
                format!("{:0<40}", came.id.replace('-', "")),
                came.sender
            )?;
            Ok::<_, crate::db::Error>(())
        })
    });
    done.await.unwrap();
}

/// A decision about a ref; a `start` makes the run of this number, which ended so.
async fn decided(
    db: &Db,
    delivery: &str,
    ref_name: &str,
    (decision, reason): (&str, &str),
    run: Option<(i64, &str)>,
) {
    let (delivery, ref_name) = (delivery.to_owned(), ref_name.to_owned());
    let (decision, reason) = (decision.to_owned(), reason.to_owned());
    let run = run.map(|(number, cause)| (number, cause.to_owned()));
    let done = db.write("test.trigger", move |conn| {
        Box::pin(async move {
            let trigger = format!("{delivery} {ref_name}");
            crate::execute!(
                conn,
                "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
                     detail, trust, settings_version, decided_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, '', 'trusted', 1, 1)",
                &trigger,
                &delivery,
                SHOP,
                &ref_name,
                "c0ffee0".repeat(6)[..40].to_owned(),
                &decision,
                &reason
            )?;
            if let Some((number, cause)) = &run {
                crate::execute!(
                    conn,
                    "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
                         commit_title, commit_time, author_name, author_email, committer_email, trust,
                         settings_version, pipeline_path, plan, state, cause, cause_detail, created_at,
                         finished_at)
                     VALUES ($1, $2, $3, $4, 1, $5, $6, '', 1, '', '', '', 'trusted', 1, '', '{}',
                         'finished', $7, NULL, 1, 2)",
                    format!("run-{number}"),
                    SHOP,
                    *number,
                    &trigger,
                    &ref_name,
                    "c0ffee0".repeat(6)[..40].to_owned(),
                    cause
                )?;
            }
            Ok::<_, crate::db::Error>(())
        })
    });
    done.await.unwrap();
}

async fn is_refused(
    db: &Db,
    id: &str,
    project: Option<&'static str>,
    (at, address, requests): (i64, &'static str, i64),
) {
    let id = id.to_owned();
    let done = db.write("test.refusal", move |conn| {
        Box::pin(async move {
            crate::execute!(
                conn,
                "INSERT INTO refusal (id, hook_id, project_id, reason, address, received_at, requests,
                     folded, audit_id)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'a')",
                &id,
                project.map(|_| "hook-shop"),
                project,
                if project.is_some() { "signature-wrong" } else { "unknown-hook" },
                octets(address),
                at,
                requests,
                i64::from(requests > 1)
            )?;
            Ok::<_, crate::db::Error>(())
        })
    });
    done.await.unwrap();
}

fn reach(projects: &[Option<&str>]) -> Reach {
    let grants = projects.iter().map(|project| Grant {
        role: Role::Viewer,
        project_id: project.map(str::to_owned),
    });
    Caller::with_grants(Actor::System, "x", grants.collect()).reach(Permission::See)
}

/// The ids of what is wanted, by somebody who sees everything.
async fn ids(conn: &mut Conn, wanted: &Wanted) -> Vec<String> {
    let rows = deliveries(conn, &reach(&[None]), true, wanted, &Cursor::newest(), 100).await;
    rows.unwrap().into_iter().map(|row| row.id).collect()
}

crate::store_tests! {
    fn pages_lose_nothing_when_many_came_at_one_moment(db: Db) {
        let mut conn = house(&db).await;
        for n in 0..7 {
            arrives(&db, came(&format!("d{n}"), 5)).await;
            is_refused(&db, &format!("r{n}"), Some(SHOP), (5, "198.51.100.7", 1)).await;
        }
        arrives(&db, came("d9", 4)).await;
        let (all, mut after, mut seen) = (reach(&[None]), Cursor::newest(), Vec::new());
        loop {
            let rows = deliveries(&mut conn, &all, true, &Wanted::default(), &after, 4).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Cursor { at: last.at, id: last.id.clone() };
            seen.extend(rows.into_iter().map(|row| row.id));
        }
        let newest = (0..7).rev().map(|n| format!("r{n}"));
        let then = (0..7).rev().map(|n| format!("d{n}")).chain(["d9".to_owned()]);
        assert_eq!(seen, newest.chain(then).collect::<Vec<_>>());
    }

    fn a_page_of_somebody_who_sees_one_project_is_full(db: Db) {
        let mut conn = house(&db).await;
        for n in 0..30 {
            arrives(&db, Came { project: BANK, ..came(&format!("b{n:02}"), 100 + n) }).await;
        }
        for n in 0..3 {
            arrives(&db, came(&format!("s{n}"), n)).await;
            is_refused(&db, &format!("x{n}"), None, (200, "192.0.2.1", 1)).await;
        }
        is_refused(&db, "own", Some(SHOP), (1, "192.0.2.1", 1)).await;
        let shown = |reach: Reach, strangers| {
            let db = db.clone();
            async move {
                let mut conn = db.reader().await.unwrap();
                let newest = Cursor::newest();
                let rows = deliveries(&mut conn, &reach, strangers, &Wanted::default(), &newest, 10).await;
                rows.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(shown(reach(&[Some(SHOP)]), false).await, ["s2", "s1", "own", "s0"]);
        assert_eq!(shown(reach(&[]), false).await, [""; 0], "nobody's");
        assert_eq!(shown(reach(&[None]), true).await[..3], ["x2", "x1", "x0"]);
        assert_eq!(shown(reach(&[None]), false).await[..2], ["b29", "b28"], "strangers are for auditors");
        assert_eq!(running(&mut conn, &reach(&[]), 5).await.unwrap().len(), 0);
    }

    fn a_filter_finds_what_it_says(db: Db) {
        let mut conn = house(&db).await;
        arrives(&db, came("a1", 10)).await;
        arrives(&db, Came { sender: "ines", address: "203.0.113.200", ref_name: "refs/tags/v1", ..came("a2", 20) }).await;
        arrives(&db, Came { project: BANK, address: "2001:db8::7", ..came("a3", 30) }).await;
        decided(&db, "a1", "refs/heads/main", ("start", "push"), Some((7, "passed"))).await;
        decided(&db, "a1", "refs/heads/docs", ("skip", "paths-ignored"), None).await;
        decided(&db, "a2", "refs/tags/v1", ("skip", "tag-not-matched"), None).await;
        is_refused(&db, "r1", Some(SHOP), (25, "203.0.113.9", 1)).await;
        let all = Wanted::default();
        assert_eq!(ids(&mut conn, &all).await, ["a3", "r1", "a2", "a1"]);
        let search = |text: &str| Some(Search::parse(text).unwrap());
        let network = |text: &str| Some(Network::parse(text).unwrap());
        let cases = [
            (Wanted { project_id: Some(BANK.into()), ..all.clone() }, "a3"),
            (Wanted { sender: Some("ines".into()), ..all.clone() }, "a2"),
            (Wanted { event: Some("push".into()), ..all.clone() }, "a3 a2 a1"),
            (Wanted { network: network("203.0.113.0/24"), ..all.clone() }, "r1 a2"),
            (Wanted { network: network("203.0.113.9"), ..all.clone() }, "r1"),
            (Wanted { network: network("2001:db8::/32"), ..all.clone() }, "a3"),
            (Wanted { outcome: Some(Outcome::Refused), ..all.clone() }, "r1"),
            (Wanted { outcome: Some(Outcome::Start), ..all.clone() }, "a1"),
            (Wanted { outcome: Some(Outcome::Skip), ..all.clone() }, "a2 a1"),
            (Wanted { reason: Some("paths-ignored".into()), ..all.clone() }, "a1"),
            (Wanted { reason: Some("signature-wrong".into()), ..all.clone() }, "r1"),
            (Wanted { outcome: Some(Outcome::Start), reason: Some("paths-ignored".into()), ..all.clone() }, ""),
            (Wanted { from: Some(At(20)), until: Some(At(30)), ..all.clone() }, "r1 a2"),
            (Wanted { run: Some("passed".into()), ..all.clone() }, "a1"),
            (Wanted { run: Some("failed".into()), ..all.clone() }, ""),
            (Wanted { search: search("v1"), ..all.clone() }, "a2"),
            (Wanted { search: search("docs"), ..all.clone() }, "a1"),
            (Wanted { search: search("r1"), ..all.clone() }, "r1"),
            (Wanted { search: search("7"), ..all.clone() }, "a1"),
            (Wanted { search: search("C0FFEE0C"), ..all.clone() }, "a2 a1"),
            (Wanted { search: search("a300000"), ..all.clone() }, "a3"),
            (Wanted { search: search("%"), ..all.clone() }, ""),
            (Wanted { search: search(&format!("sha256:{}", "ab".repeat(32))), ..all.clone() }, "a3 a2 a1"),
        ];
        for (wanted, expected) in cases {
            assert_eq!(ids(&mut conn, &wanted).await.join(" "), expected, "{wanted:?}");
        }
    }

    fn of_several_refs_the_one_that_started_something_is_shown(db: Db) {
        let mut conn = house(&db).await;
        arrives(&db, came("a1", 10)).await;
        let newest = Cursor::newest();
        let all = reach(&[None]);
        let rows = deliveries(&mut conn, &all, true, &Wanted::default(), &newest, 9).await.unwrap();
        assert_eq!(rows[0].decided, Decided { outcome: Outcome::Waiting, reason: String::new() });
        decided(&db, "a1", "refs/heads/docs", ("skip", "paths-ignored"), None).await;
        decided(&db, "a1", "refs/heads/main", ("start", "push"), Some((7, "passed"))).await;
        let rows = deliveries(&mut conn, &all, true, &Wanted::default(), &newest, 9).await.unwrap();
        let row = &rows[0];
        assert_eq!(row.decided, Decided { outcome: Outcome::Start, reason: "push".to_owned() });
        assert_eq!((row.refs, row.run_number, row.project.as_deref()), (2, Some(7), Some("shop")));
        let refs = decisions(&mut conn, "a1", 9).await.unwrap();
        let runs: Vec<_> = refs.iter().map(|one| (one.ref_name.as_str(), one.run_number)).collect();
        assert_eq!(runs, [("refs/heads/docs", None), ("refs/heads/main", Some(7))]);
    }

    fn every_list_is_read_on_both_databases(db: Db) {
        let mut conn = house(&db).await;
        arrives(&db, came("a1", 10)).await;
        decided(&db, "a1", "refs/heads/main", ("start", "push"), Some((7, "worker-lost"))).await;
        let (all, shop, none) = (reach(&[None]), reach(&[Some(SHOP)]), reach(&[Some(BANK)]));
        for (reach, count) in [(&all, 1), (&shop, 1), (&none, 0)] {
            let lately = failed(&mut conn, reach, At(0), 9).await.unwrap();
            assert_eq!(lately.len(), count);
        }
        assert_eq!(failed(&mut conn, &all, At(2), 9).await.unwrap().len(), 0, "made before");
        assert_eq!(running(&mut conn, &all, 9).await.unwrap().len(), 0);
        assert_eq!(environments(&mut conn, &all).await.unwrap().len(), 0);
        assert_eq!(open_in_environments(&mut conn, &all).await.unwrap().len(), 0);
        assert!(run_of_release(&mut conn, "x").await.unwrap().is_none());
        assert_eq!(leases(&mut conn).await.unwrap().len(), 0);
        assert!(secret(&mut conn, "s").await.unwrap().is_none());
        assert_eq!(repeats(&mut conn, "a1", 9).await.unwrap().len(), 0);
        assert_eq!(images_of_run(&mut conn, "run-7").await.unwrap(), []);
        assert_eq!(findings_of_run(&mut conn, "run-7").await.unwrap(), []);
        assert_eq!(promotions_of_run(&mut conn, "run-7").await.unwrap().len(), 0);
        let wanted = finding::Wanted { severity: Some(crate::finding::Severity::High), ..finding::Wanted::default() };
        assert_eq!(finding::findings(&mut conn, "run-7", &wanted, (-1, ""), 9).await.unwrap().len(), 0);
        assert_eq!(finding::choices(&mut conn, "run-7").await.unwrap(), [""; 0]);
        assert_eq!(finding::fingerprints(&mut conn, "run-7").await.unwrap(), [""; 0]);
        assert_eq!(finding::newest_run(&mut conn, SHOP).await.unwrap(), None);
        let unchecked = crate::finding::unchecked_in_run(&mut conn, "run-7").await.unwrap();
        assert_eq!(unchecked, crate::finding::Unchecked::default());
        let (mine, others) = crate::promotion::asking(&mut conn, None, &all, At(0)).await.unwrap();
        assert_eq!((mine.len(), others.len()), (0, 0));
        let ended = crate::promotion::ended_in(&mut conn, &shop, (i64::MAX, ""), 9).await.unwrap();
        assert_eq!(ended.len(), 0);
    }

    fn a_folded_refusal_is_found_by_its_minute_and_its_network(db: Db) {
        let mut conn = house(&db).await;
        is_refused(&db, "fold", Some(SHOP), (5 * MINUTE, "203.0.113.0", 80)).await;
        is_refused(&db, "many", Some(SHOP), (5 * MINUTE, "::", 9)).await;
        let all = Wanted::default();
        let network = |text: &str| Wanted { network: Some(Network::parse(text).unwrap()), ..all.clone() };
        // Eighty requests of 203.0.113.0/24, the ninth address may be among them; of `many` any may be.
        assert_eq!(ids(&mut conn, &network("203.0.113.9")).await, ["many", "fold"]);
        assert_eq!(ids(&mut conn, &network("203.0.0.0/16")).await, ["many", "fold"]);
        assert_eq!(ids(&mut conn, &network("203.0.114.0/24")).await, ["many"]);
        let until = |at| Wanted { until: Some(At(at)), ..all.clone() };
        assert_eq!(ids(&mut conn, &until(4 * MINUTE + 1)).await, ["many", "fold"]);
        assert_eq!(ids(&mut conn, &until(4 * MINUTE)).await, [""; 0]);
        let rows = deliveries(&mut conn, &reach(&[None]), true, &all, &Cursor::newest(), 9).await.unwrap();
        assert_eq!((rows[0].address, rows[0].requests, rows[0].folded), (None, 9, true));
        assert!(rows[1].address.is_some());
    }
}
