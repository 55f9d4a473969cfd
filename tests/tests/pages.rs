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
    // Requests of strangers are for those who see everything.
    let stranger = format!("/deliveries/{}", sample.stranger);
    assert_eq!(lena.open(&stranger).await?.status, 404);
    assert_eq!(amara.open(&stranger).await?.status, 200);
    for path in [
        "/deliveries?address=10.0.0",
        "/deliveries?older=x",
        "/log-entries?older=x",
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
    assert_eq!(seen().await?, ["person(amara)"]);
    let mut conn = house.app().ground.db.reader().await?;
    assert!(delivery::delivery(&mut conn, &id).await?.is_some());
    drop(conn);
    house.stop().await;
    Ok(())
}
