//! The browser story: a developer requests, a release manager watches a live log and approves, an auditor finds the
//! delivery, each in a browser of their own.

use super::driver::{Driver, Window};
use super::house::House;
use super::sample::Sample;
use super::start::Demo;
use super::watch;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the log may take until a line is in the open page.
const LOG_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// Before what the last line of the sample's counting begins with.
const COUNTED: &str = "counted article ";
/// A page of deliveries is longer than what a story sends.
const DELIVERIES: usize = 20;

/// Runs it on a commit of its own, taking pictures on the way when a folder is named.
pub(crate) fn story(
    demo: &mut Demo,
    house: &House,
    sample: &Sample,
    pictures: Option<&Path>,
) -> Result<()> {
    let driver = Driver::start(demo)?;
    // One thread: what the story waits for outside of the browser may block it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the story")?;
    runtime.block_on(told(demo, house, sample, &driver, pictures))?;
    demo.programs.stop("browser")
}

async fn told(
    demo: &mut Demo,
    house: &House,
    sample: &Sample,
    driver: &Driver,
    pictures: Option<&Path>,
) -> Result<()> {
    let dana = driver.sign_in(demo, &house.developer).await?;
    let rita = driver.sign_in(demo, &house.manager).await?;
    let number = watch::next_run(house)?;
    let in_staging = watch::promotions(house, "staging")?.len();
    let in_prod = watch::promotions(house, "prod")?.len();
    sample.stocktaking()?;
    sample.push()?;
    let run = format!("/projects/shop/runs/{number}");
    rita.reload_until("/projects/shop/runs", &format!("a[href='{run}']"))
        .await?;
    rita.click(&format!("a[href='{run}']")).await?;
    watch_a_log_grow(demo, &rita, &run).await?;
    let ended = watch::run_to_end(demo, house, number)?;
    ensure!(
        ended["cause"] == "passed",
        "the run did not pass:{}",
        watch::logs_of_failed(house, number, &ended)
    );
    watch::promotion(demo, house, "staging", in_staging, &["applied"])?;
    let promotion = request(demo, &dana).await?;
    approve(demo, &rita, &promotion, pictures).await?;
    watch::promotion(demo, house, "prod", in_prod, &["applied"])?;
    rita.open(&promotion).await?;
    let is_open = rita.has("button[name=decision]").await?;
    ensure!(!is_open, "an applied promotion still asks for a decision");
    if let Some(folder) = pictures {
        rita.open(&run).await?;
        rita.find(&format!("a[href$='{run}/steps/unit']")).await?;
        rita.picture(&folder.join("run.png")).await?;
    }
    let audrey = driver.sign_in(demo, &house.auditor).await?;
    find_the_delivery(demo, &audrey, &run).await?;
    for window in [dana, rita, audrey] {
        window.close().await?;
    }
    Ok(())
}

/// Sees lines come into the open page of a step, without loading it again.
async fn watch_a_log_grow(demo: &mut Demo, window: &Window, run: &str) -> Result<()> {
    window.find(&format!("a[href$='{run}/steps/unit']")).await?;
    window.open(&format!("{run}/steps/unit")).await?;
    let deadline = Instant::now() + LOG_LIMIT;
    let mut first = None;
    loop {
        let counted = lines(window).await?;
        let is_same_page = window.run("return window.sallyportStory === true").await?;
        match first {
            // A step that waits for a worker has no log yet, and its page may be loaded again when it starts.
            None if counted > 0 => {
                window.run("window.sallyportStory = true").await?;
                first = Some(counted);
            }
            Some(_) if is_same_page != true => first = None,
            Some(before) if counted > before => {
                demo.say(&format!(
                    "a log grows in the open page: {before} lines, then {counted}"
                ));
                return Ok(());
            }
            None => window.open(&format!("{run}/steps/unit")).await?,
            Some(_) => {}
        }
        demo.programs.all_live()?;
        ensure!(
            Instant::now() < deadline,
            "no log grew in the open page:\n{}",
            window.text().await?
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// How many of the counting's lines the page shows.
async fn lines(window: &Window) -> Result<usize> {
    Ok(window.text().await?.matches(COUNTED).count())
}

/// The developer asks for what is in staging; the promotion's path.
async fn request(demo: &Demo, window: &Window) -> Result<String> {
    window.open("/projects/shop/environments").await?;
    window
        .click("form[action='/projects/shop/environments/prod'] button[type=submit]")
        .await?;
    let deadline = Instant::now() + LOG_LIMIT;
    loop {
        let path = window.path().await?;
        if path.starts_with("/promotions/") {
            demo.say(&format!("dana requests {path}"));
            return Ok(path);
        }
        ensure!(
            Instant::now() < deadline,
            "a request does not lead to its promotion:\n{}",
            window.text().await?
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// The release manager finds it among what waits for them, reads it and approves with a reason.
async fn approve(
    demo: &Demo,
    window: &Window,
    promotion: &str,
    pictures: Option<&Path>,
) -> Result<()> {
    let link = format!("a[href='{promotion}']");
    window.reload_until("/approvals", &link).await?;
    window.click(&link).await?;
    let form = format!("form[action='{promotion}']");
    let reason = format!("{form} [name=reason]");
    window.find(&reason).await?;
    if let Some(folder) = pictures {
        window.picture(&folder.join("promotion.png")).await?;
    }
    window
        .fill(&reason, "Counted the stock in staging; it is right.")
        .await?;
    window
        .click(&format!("{form} button[name=decision][value=approve]"))
        .await?;
    demo.say("rita approves with a reason");
    Ok(())
}

/// The auditor looks through the trigger history for the delivery that started the run.
async fn find_the_delivery(demo: &Demo, window: &Window, run: &str) -> Result<()> {
    window.open("/deliveries").await?;
    let deliveries = window.links("/deliveries/").await?;
    for delivery in deliveries.iter().take(DELIVERIES) {
        window.open(delivery).await?;
        if window.has(&format!("a[href='{run}']")).await? {
            demo.say(&format!("audrey finds {delivery}, which started {run}"));
            return Ok(());
        }
    }
    anyhow::bail!("none of {deliveries:?} says that it started {run}")
}
