//! An open promotion in a real browser, while another person acts: who watches sees it, who types is told.

use anyhow::ensure;
use orchestrator::identity::Role;
use serde_json::json;
use tests::browser::{Browser, PASSWORD};
use tests::orchestrator::Orchestrator;
use tests::sample;
use tests::screen::Screen;

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_ends_is_seen_by_all_and_takes_no_text_away() -> anyhow::Result<()> {
    let house = Orchestrator::still().await?;
    let lena = Browser::of(&house, "lena", &[(Role::Developer, None)]).await?;
    let sample = sample::ledger(&house.app().ground, &lena.person).await?;
    Browser::of(&house, "ines", &[(Role::ReleaseManager, None)]).await?;
    Browser::of(&house, "amara", &[(Role::Auditor, None)]).await?;
    let path = format!("/promotions/{}", sample.waiting);
    let (approver, watcher) = (
        Screen::open(&house.url()).await?,
        Screen::open(&house.url()).await?,
    );
    approver.sign_in("ines", PASSWORD).await?;
    watcher.sign_in("amara", PASSWORD).await?;
    for screen in [&approver, &watcher] {
        screen.goes(&path).await?;
    }
    approver.finds("#p-changed[hidden]").await?;
    watcher.finds("#p-cause[hidden]").await?;
    let seen = "return document.getElementById('p-changed').checkVisibility()";
    ensure!(approver.runs(seen).await? == json!(false), "too early");
    let types = "document.getElementById('reason').value = 'Read, and'; return true";
    approver.runs(types).await?;

    let taken_back = lena.send(&format!("{path}/withdraw"), &[]).await?;
    ensure!(taken_back.status == 303, "{taken_back:?}");

    watcher.finds("#p-cause:not([hidden])").await?;
    let cause =
        "return document.getElementById('p-cause').textContent.includes('withdrawn by lena')";
    ensure!(watcher.runs(cause).await? == json!(true), "no cause");
    approver.finds("#p-changed:not([hidden])").await?;
    ensure!(approver.runs(seen).await? == json!(true), "not to be seen");
    let kept = "return document.getElementById('reason').value";
    ensure!(approver.runs(kept).await? == json!("Read, and"), "her text");
    approver.close().await?;
    watcher.close().await?;
    house.stop().await;
    Ok(())
}
