//! Stories of the pages over HTTP: who sees what, filters and places in addresses, what is noted.

use anyhow::Context as _;
use orchestrator::identity::Role;
use orchestrator::{audit, delivery};
use tests::browser::{Browser, between};
use tests::orchestrator::Orchestrator;
use tests::sample::{self, LEDGER};

/// Every link of a page to one delivery.
fn rows(text: &str) -> Vec<String> {
    let parts = text.split("<a class=\"b\" href=\"").skip(1);
    parts
        .filter_map(|part| part.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// The link of a page with this word.
fn link(text: &str, word: &str) -> Option<String> {
    let before = text.split(&format!("\">{word}</a>")).next()?;
    if before.len() == text.len() {
        return None;
    }
    let (_, to) = before.rsplit_once("href=\"")?;
    Some(to.replace("&#38;", "&").replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_grant_sees_nothing() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let nobody = Browser::of(&house, "nobody", &[]).await?;
    for path in ["/", "/deliveries", "/approvals", "/approvals?show=ended"] {
        let page = nobody.open(path).await?;
        assert_eq!(page.status, 200, "{path}");
        for secret in [
            LEDGER,
            "eu-w1",
            "lena-fischer",
            "203.0.113",
            "140.82",
            "shop<",
        ] {
            assert!(!page.text.contains(secret), "{path} tells {secret}");
        }
        assert!(
            !page.text.contains("href=\"/workers\"")
                && !page.text.contains("href=\"/log-entries\"")
        );
    }
    let hidden = [
        "/workers".to_owned(),
        "/log-entries".to_owned(),
        format!("/deliveries/{}", sample.delivery),
        format!("/deliveries/{}", sample.refusal),
        format!("/deliveries/{}", sample.stranger),
        format!("/promotions/{}", sample.waiting),
        format!("/projects/{LEDGER}/findings"),
        "/projects/nowhere/findings".to_owned(),
    ];
    for path in hidden {
        assert_eq!(nobody.open(&path).await?.status, 404, "{path}");
    }
    let payload = format!("/deliveries/{}/payload", sample.delivery);
    assert_eq!(nobody.send(&payload, &[]).await?.status, 404);
    // A filter is no way round: a project that may not be seen does not exist.
    let page = nobody
        .open(&format!("/deliveries?project={LEDGER}"))
        .await?;
    assert_eq!((page.status, rows(&page.text).len()), (400, 0));
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_with_likely_data() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let ines = Browser::of(&house, "ines", &[(Role::ReleaseManager, None)]).await?;
    let amara = Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    let paths = [
        ("/", "Refuse refunds across currencies"),
        ("/approvals", "Needs mine"),
        ("/approvals?show=others", "Waiting for others"),
        ("/approvals?show=ended", "to staging"),
        ("/deliveries", "lena-fischer"),
        ("/workers", "docker-runc-userns"),
        (
            &format!("/deliveries/{}", sample.delivery),
            "From main to its environments",
        ),
        (
            &format!("/deliveries/{}", sample.refusal),
            "Its signature is not of this body",
        ),
        (&format!("/projects/{LEDGER}/findings"), "PYSEC-2024-0009"),
        (
            &format!("/projects/{LEDGER}/findings?in=staging"),
            "what staging holds",
        ),
        (
            &format!("/projects/{LEDGER}/findings?in=1&severity=high"),
            "this run",
        ),
    ];
    for reader in [&lena, &ines, &amara] {
        for (path, word) in paths {
            let page = reader.open(path).await?;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            assert!(page.text.contains(word), "{path} without {word}");
            assert!(
                !page.text.contains(" style=") && !page.text.contains("<script>"),
                "{path}"
            );
        }
    }
    assert_eq!(lena.open("/log-entries").await?.status, 404);
    let log = amara.open("/log-entries?type=identity").await?;
    assert!(log.status == 200 && log.text.contains("identity.signed-in"));
    assert!(
        !log.text.contains("<code>project."),
        "other types are left out"
    );
    let none = "No entry matches";
    for (bounds, is_empty) in [
        ("from=2020-01-01", false),
        ("to=2020-01-01", true),
        ("from=2020-01-01%2012:00&to=2100-01-01", false),
    ] {
        let page = amara.open(&format!("/log-entries?{bounds}")).await?;
        assert_eq!(page.status, 200, "{bounds}");
        assert_eq!(page.text.contains(none), is_empty, "{bounds}");
    }
    let ledgers = amara
        .open(&format!("/deliveries/{}", sample.delivery))
        .await?;
    assert!(
        ledgers
            .text
            .contains("<title>push of main by lena-fischer, ")
    );
    // Requests of strangers are for those who see everything.
    let stranger = format!("/deliveries/{}", sample.stranger);
    assert_eq!(lena.open(&stranger).await?.status, 404);
    assert_eq!(amara.open(&stranger).await?.status, 200);
    for path in [
        "/deliveries?address=10.0.0",
        "/deliveries?older=x",
        "/log-entries?older=x",
        "/log-entries?from=noon",
    ] {
        assert_eq!(amara.open(path).await?.status, 400, "{path}");
    }
    for path in [
        "/projects/ledger-api/findings?in=nowhere",
        "/approvals?show=x",
        "/deliveries/x",
    ] {
        assert_eq!(amara.open(path).await?.status, 404, "{path}");
    }
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bar_counts_what_waits_for_the_reader() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::ReleaseManager, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let ines = Browser::of(&house, "ines", &[(Role::ReleaseManager, None)]).await?;
    let promotion = format!("/promotions/{}", sample.waiting);
    let count = |text: &str| between(text, "<span class=\"count on\">", "<").map(str::to_owned);
    let page = ines.open("/approvals").await?.text;
    assert_eq!(count(&page).as_deref(), Some("1"));
    assert!(page.contains(&promotion));
    // Who wrote the change and asked for it is asked for nothing, whatever role they hold.
    let page = lena.open("/approvals").await?.text;
    assert_eq!(count(&page), None);
    assert!(!page.contains(&promotion));
    assert!(
        lena.open("/approvals?show=others")
            .await?
            .text
            .contains(&promotion)
    );
    let home = ines.open("/").await?.text;
    assert!(home.contains(&promotion) && home.contains("1 promotion waits for your answer"));
    // What came in well and would not today is a need of those who can mend it, and is seen by all.
    let amara = Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    let need = "ledger-api run 1 no longer complies in staging";
    assert!(home.contains(need) && home.contains("1 environment no longer complies."));
    let hers = amara.open("/").await?.text;
    assert!(!hers.contains(need) && hers.contains(">No longer complies</a>"));
    let findings = format!("/projects/{LEDGER}/findings?in=staging&severity=high");
    let found = amara.open(&findings).await?;
    assert!(found.status == 200 && found.text.contains("what staging holds"));
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn older_pages_keep_the_filters_and_end() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Viewer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let (mut at, mut seen) = (format!("/deliveries?project={LEDGER}"), Vec::new());
    for _ in 0..5 {
        let page = lena.open(&at).await?;
        assert_eq!(page.status, 200, "{at}");
        seen.extend(rows(&page.text));
        let Some(older) = link(&page.text, "Older") else {
            break;
        };
        assert!(older.contains(&format!("project={LEDGER}")), "{older}");
        at = older;
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((all, seen.len()), (sample.rows, sample.rows));
    // The place belongs to these filters.
    let moved = at.replace(&format!("project={LEDGER}"), "event=push");
    assert_eq!(lena.open(&moved).await?.status, 400);
    let next = link(
        &lena
            .open(&format!("/projects/{LEDGER}/findings"))
            .await?
            .text,
        "Next",
    );
    let rest = lena
        .open(&next.context("56 findings are two pages")?)
        .await?;
    assert!(rest.status == 200 && !rest.text.contains("PYSEC-2024-0009"));
    assert!(link(&rest.text, "Next").is_none());
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saw_a_payload_is_noted_before_they_see_it() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let amara = Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    house.push("version: 1\n").await?;
    let page = lena.open("/deliveries").await?.text;
    let path = rows(&page).pop().context("one delivery")?;
    let id = path.trim_start_matches("/deliveries/").to_owned();
    let page = lena.open(&path).await?.text;
    assert!(!page.contains("View payload") && page.contains("(for auditors)"));
    assert_eq!(
        lena.send(&format!("{path}/payload"), &[]).await?.status,
        403
    );
    let seen = async || {
        let mut conn = house.app().ground.db.reader().await?;
        let entries = audit::by_subject(&mut conn, &format!("delivery:{id}"), 9).await?;
        let seen = entries
            .into_iter()
            .filter(|e| e.kind == "delivery.payload-seen");
        anyhow::Ok(seen.map(|entry| entry.actor).collect::<Vec<_>>())
    };
    assert_eq!(seen().await?, [""; 0]);
    assert!(amara.open(&path).await?.text.contains("View payload"));
    assert_eq!(seen().await?, [""; 0], "the page itself shows no payload");
    let payload = amara.send(&format!("{path}/payload"), &[]).await?;
    assert_eq!(payload.status, 200);
    assert!(payload.text.contains("refs/heads/main"), "{}", payload.text);
    // The entry keeps her id, of which her name can be taken away; who reads it sees the name.
    assert_eq!(seen().await?, [format!("person({})", amara.person)]);
    for actor in [
        "person(amara)".to_owned(),
        format!("person({})", amara.person),
    ] {
        let log = format!("/log-entries?type=delivery.payload-seen&actor={actor}");
        let log = amara.open(&log).await?.text;
        assert!(
            log.contains("<span class=\"wrap\">person(amara)</span>"),
            "{actor}"
        );
    }
    let mut conn = house.app().ground.db.reader().await?;
    assert!(delivery::delivery(&mut conn, &id).await?.is_some());
    drop(conn);
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_shows_what_comes_in_and_who_asked_takes_it_back() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let ines = Browser::of(&house, "ines", &[(Role::ReleaseManager, None)]).await?;
    let amara = Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    let path = format!("/promotions/{}", sample.waiting);
    let (withdraw, form) = (
        format!("{path}/withdraw"),
        format!("action=\"{path}/withdraw\""),
    );
    let page = ines.open(&path).await?.text;
    for word in [
        // The decision, what would enter, commit by commit, and what ends by itself.
        "You may approve this promotion",
        "Carry amounts as decimals",
        "12 come in, newest first",
        "<summary class=\"s inset\">2 more</summary>",
        "Renovate, committed by lena",
        "Who counts as contributor",
        "Maps to nobody here, so one more approval is asked for",
        "What ends when",
        "Advisories are fresh",
        "data-until=",
        "holds nothing yet: this would be the first release there",
        "<title>Promote ledger-api run 1 to prod: Refuse refunds across currencies",
        // What her yes does, and that the page looks after what she answers.
        "conditions are still unmet",
        "data-watch=\"sha256:",
    ] {
        assert!(page.contains(word), "without {word}");
    }
    assert!(
        !page.contains("id=\"password\""),
        "she has just given her password"
    );
    assert!(!page.contains(&form), "she did not ask for it");
    let hers = lena.open(&path).await?.text;
    assert!(hers.contains(&form) && hers.contains("You do not hold the role"));
    let applied = between(&hers, "In staging first", "</li>");
    assert!(applied.is_some_and(|row| row.contains("is there")));

    assert_eq!(ines.send(&withdraw, &[]).await?.status, 403);
    let nothing = ines.send(&path, &[("decision", "approve")]).await?;
    assert_eq!(nothing.status, 422);
    assert!(
        nothing.text.contains("This cannot be read"),
        "a page, not a sentence of the framework"
    );
    let reason = ("reason", "It was counted twice.");
    let no_digest = [("decision", "approve"), reason, ("evidence", "x")];
    assert_eq!(ines.send(&path, &no_digest).await?.status, 404);

    assert_eq!(lena.send(&withdraw, &[]).await?.status, 303);
    let over = amara.open(&path).await?.text;
    assert!(
        over.contains("Void") && over.contains("withdrawn by lena"),
        "{over}"
    );
    assert!(!over.contains("You may approve") && over.contains("Carry amounts as decimals"));
    assert!(
        !over.contains("What ends when"),
        "nothing of it ends any more"
    );
    let late = lena.send(&withdraw, &[]).await?;
    assert!(late.status == 409 && late.text.contains("promotion-not-open"));
    assert!(
        late.text
            .contains(&format!("href=\"{path}\">Back to the page"))
    );
    let evidence = format!("sha256:{}", "0".repeat(64));
    let late = [
        ("decision", "approve"),
        reason,
        ("evidence", evidence.as_str()),
    ];
    let late = ines.send(&path, &late).await?;
    assert!(late.status == 409 && late.text.contains("It waits for no answer any more"));
    let ended = ines.open("/approvals?show=ended").await?.text;
    assert!(ended.contains(&path), "it is among the completed ones");
    let mut conn = house.app().ground.db.reader().await?;
    let entries = audit::by_subject(&mut conn, &format!("promotion:{}", sample.waiting), 9).await?;
    let said: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.kind.as_str(), entry.actor.as_str()))
        .collect();
    let withdrawn_by = format!("person({})", lena.person);
    assert_eq!(said, [("promotion.void", withdrawn_by.as_str())]);
    drop(conn);
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_show_what_is_where_and_what_could_come_next() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let amara = Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    let path = format!("/projects/{LEDGER}/environments");
    let page = lena.open(&path).await?.text;
    let lane = |page: &str, name: &str| {
        let lane = between(page, &format!("id=\"env-{name}\""), "</section>");
        lane.map(str::to_owned).context("no such lane")
    };
    let places: Vec<usize> = ["dev", "staging", "prod"]
        .iter()
        .filter_map(|name| page.find(&format!("id=\"env-{name}\"")))
        .collect();
    assert!(
        places.len() == 3 && places.is_sorted(),
        "in the settings' order"
    );
    let staging = lane(&page, "staging")?;
    // jinja2 has a finding at the threshold: what came in well is told not to comply any more.
    assert!(
        staging.contains(">Run 1</a>") && staging.contains("Refuse refunds across currencies"),
        "{staging}"
    );
    let why = format!(
        "href=\"/projects/{LEDGER}/findings?in=staging&amp;severity=high\">No longer complies"
    );
    assert!(staging.contains(&why), "{staging}");
    assert!(page.contains("id=\"lanes\" data-refresh"), "one waits");
    let prod = lane(&page, "prod")?;
    assert!(prod.contains("Nothing is here yet") && prod.contains("Run 1, promotion 3"));
    let request = format!("action=\"{path}/prod\"");
    assert!(!page.contains(&request), "it is asked for already");
    let release = [("release", sample.release.as_str())];
    assert_eq!(
        amara.send(&format!("{path}/prod"), &release).await?.status,
        404
    );

    let withdraw = format!("/promotions/{}/withdraw", sample.waiting);
    assert_eq!(lena.send(&withdraw, &[]).await?.status, 303);
    assert!(lena.open(&path).await?.text.contains(&request));
    let hers = amara.open(&path).await?.text;
    assert!(!hers.contains(&request) && hers.contains("when a developer or release manager asks"));
    for wrong in [
        format!("{path}/nowhere"),
        "/projects/nowhere/environments/prod".to_owned(),
    ] {
        assert_eq!(lena.send(&wrong, &release).await?.status, 404, "{wrong}");
    }
    let no_release = [("release", "01900000-0000-7000-8000-0000000000ff")];
    for nothing in [&no_release[..], &[("release", "x")][..]] {
        assert_eq!(
            lena.send(&format!("{path}/prod"), nothing).await?.status,
            404
        );
    }
    assert_eq!(
        lena.send(&format!("{path}/prod"), &release).await?.status,
        303
    );
    assert_eq!(
        lena.send(&format!("{path}/prod"), &release).await?.status,
        303,
        "the one that waits"
    );
    let prod = lane(&lena.open(&path).await?.text, "prod")?;
    assert!(prod.contains("Run 1, promotion 4"), "{prod}");
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_stays_in_its_lane_however_many_came_after_it() -> anyhow::Result<()> {
    const LATER: i64 = 60;
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    let waiting = sample.waiting.clone();
    let write = house.app().ground.db.write("test.promotions", move |conn| {
        let waiting = waiting.clone();
        Box::pin(async move {
            for number in 1..=LATER {
                orchestrator::execute!(
                    conn,
                    "INSERT INTO promotion (id, project_id, number, release_id, environment,
                         settings_version, state, cause, requested_by, requester_id, requested_at,
                         ended_at)
                     SELECT $1, project_id, number + $2, release_id, 'dev', settings_version,
                         'superseded', 'a later one', requested_by, requester_id, requested_at + $2,
                         requested_at + $2
                     FROM promotion WHERE id = $3",
                    format!("01900000-0000-7000-8000-{number:012}"),
                    number,
                    &waiting
                )?;
            }
            Ok::<_, orchestrator::db::Error>(())
        })
    });
    write.await?;
    let path = format!("/projects/{LEDGER}/environments");
    let first = lena.open(&path).await?.text;
    let table = |page: &str| -> Vec<String> {
        let table = page.split("id=\"promotions\"").nth(1).unwrap_or_default();
        let rows = table
            .split("<td role=\"cell\"><a href=\"/promotions/")
            .skip(1);
        let id = |row: &str| row.split('"').next().map(str::to_owned);
        rows.filter_map(id).collect()
    };
    let prod = between(&first, "id=\"env-prod\"", "</section>").context("a lane")?;
    assert!(prod.contains(&sample.waiting), "{prod}");
    assert!(table(&first).len() == 50 && !table(&first).contains(&sample.waiting));
    let older = link(&first, "Older").context("there are older ones")?;
    let second = lena.open(older.trim_end_matches("#pr")).await?.text;
    assert!(table(&second).len() == 13 && table(&second).contains(&sample.waiting));
    assert!(link(&second, "Older").is_none());
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_nobody_could_decide_yet_says_what_hinders() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    house.push("version: 1\n").await?;
    let path = rows(&lena.open("/deliveries").await?.text)
        .pop()
        .context("one delivery")?;
    let page = lena.open(&path).await?.text;
    assert!(page.contains("Nobody has decided yet") && !page.contains("What hindered"));
    let id = path.trim_start_matches("/deliveries/").to_owned();
    let write = house.app().ground.db.write("test.retry", move |conn| {
        Box::pin(async move {
            orchestrator::execute!(
                conn,
                "INSERT INTO trigger_retry (delivery_id, tries, next_at, problem)
                 VALUES ($1, 3, 4102444800000000, 'fetch repository: <timeout>')",
                id
            )?;
            Ok::<_, orchestrator::db::Error>(())
        })
    });
    write.await?;
    let page = lena.open(&path).await?.text;
    assert!(
        page.contains("Tried 3 times, again <time datetime=\"2100-01-01"),
        "{page}"
    );
    assert!(page.contains("What hindered the last try: fetch repository: &#60;timeout&#62;"));
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_a_page_whatever_they_ask() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    sample::ledger(&house.app().ground, &lena.person).await?;
    let runs = format!("/projects/{LEDGER}/runs");
    for (path, status, code) in [
        (format!("{runs}/x"), 400, "bad-request"),
        (format!("{runs}?state=gone"), 400, "bad-request"),
        (format!("{runs}?older=x"), 400, "bad-request"),
        (format!("{runs}/1/again"), 405, "method-not-allowed"),
        ("/nowhere".to_owned(), 404, "not-found"),
    ] {
        let page = lena.open(&path).await?;
        assert_eq!(page.status, status, "{path}");
        let words = format!("{status} <code>{code}</code>");
        assert!(page.text.contains(&words), "{path}: {}", page.text);
    }
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_from_a_place_that_says_nothing() -> anyhow::Result<()> {
    const RUNS: i64 = 60;
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    sample::ledger(&house.app().ground, &lena.person).await?;
    let write = house.app().ground.db.write("test.runs", |conn| {
        Box::pin(async move {
            for number in 5..=RUNS {
                orchestrator::execute!(
                    conn,
                    "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
                         commit_title, commit_time, author_name, author_email, committer_email, trust,
                         settings_version, pipeline_path, plan, complaints, state, cause, created_at,
                         started_at, finished_at)
                     SELECT $1, project_id, $2, trigger_id, $2, ref_name, commit_id, commit_title,
                         commit_time, author_name, author_email, committer_email, trust,
                         settings_version, pipeline_path, plan, complaints, state, cause, created_at,
                         started_at, finished_at
                     FROM run WHERE number = 1",
                    format!("01900000-0000-7000-8000-{number:012}"),
                    number
                )?;
            }
            Ok::<_, orchestrator::db::Error>(())
        })
    });
    write.await?;
    let base = format!("/projects/{LEDGER}/runs");
    let numbers = |text: &str| -> Vec<i64> {
        let start = format!("<a class=\"title wrap\" href=\"{base}/");
        let parts = text.split(&start).skip(1);
        let number = |part: &str| part.split('"').next()?.parse().ok();
        parts.filter_map(number).collect()
    };
    let first = lena.open(&format!("{base}?state=passed")).await?.text;
    assert_eq!(numbers(&first), (11..=RUNS).rev().collect::<Vec<_>>());
    let older = link(&first, "Older").context("there are older ones")?;
    let starts = format!("{base}?state=passed&older=");
    assert!(older.starts_with(&starts), "{older}");
    let second = lena.open(&older).await?.text;
    assert_eq!(numbers(&second), [10, 9, 8, 7, 6, 5, 1]);
    assert!(link(&second, "Older").is_none());
    let newest = link(&second, "Newest");
    assert_eq!(newest, Some(format!("{base}?state=passed")));
    let other = older.replace("state=passed", "state=failed");
    assert_eq!(
        lena.open(&other).await?.status,
        400,
        "it belongs to these filters"
    );
    house.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_is_new_since_the_last_promotion() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    sample::ledger(&house.app().ground, &lena.person).await?;
    let write = house.app().ground.db.write("test.findings", |conn| {
        Box::pin(async move {
            // Run 4 has two of run 1's findings, and one of its own.
            orchestrator::execute!(
                conn,
                "INSERT INTO finding (id, project_id, run_id, step_id, fence, tool, rule, severity, title,
                     message, path, line, aliases, fingerprint, suppressed, found_at)
                 SELECT 'again-' || f.id, f.project_id, s.run_id, s.id, s.fence, f.tool, f.rule,
                     f.severity, f.title, f.message, f.path, f.line, f.aliases, f.fingerprint, 0, 1
                 FROM finding f, step s WHERE s.name = 'unit' AND f.rule IN ('DL3008', 'generic-api-key')"
            )?;
            orchestrator::execute!(
                conn,
                "INSERT INTO finding (id, project_id, run_id, step_id, fence, tool, rule, severity, title,
                     message, path, line, aliases, fingerprint, suppressed, found_at)
                 SELECT 'new', s.project_id, s.run_id, s.id, s.fence, 'hadolint', 'DL3006', 'low',
                     'Nobody saw this before', '', 'Dockerfile', 1, '', $1, 0, 1
                 FROM step s WHERE s.name = 'unit'",
                "f".repeat(64)
            )?;
            Ok::<_, orchestrator::db::Error>(())
        })
    });
    write.await?;
    let page = lena.open(&format!("/projects/{LEDGER}/runs/4")).await?.text;
    let card = between(&page, "Findings of this run", "</section>").context("a card")?;
    let since = format!("href=\"/projects/{LEDGER}/runs/1\">run 1</a>, promoted last, in staging");
    assert!(card.contains("1 new</span>"), "{card}");
    assert!(card.contains(&since), "{card}");
    let rows: Vec<&str> = card.split("<tr role=\"row\">").skip(2).collect();
    let is_new: Vec<bool> = rows.iter().map(|row| row.contains(">New<")).collect();
    assert_eq!(
        is_new,
        [true, false, false],
        "what is new comes before what is worse"
    );
    assert!(
        rows.first()
            .is_some_and(|row| row.contains("Nobody saw this before"))
    );

    let page = lena.open(&format!("/projects/{LEDGER}/runs/1")).await?.text;
    assert!(page.contains("staging holds this run") && !page.contains(">New<"));
    let page = lena.open(&format!("/projects/{LEDGER}/runs/2")).await?.text;
    assert!(page.contains("None new"));
    house.stop().await;
    Ok(())
}
