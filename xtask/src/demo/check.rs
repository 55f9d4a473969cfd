//! `cargo demo --check`: what people would do, and what must be refused.

use super::house::House;
use super::people::Browser;
use super::sample::Sample;
use super::start::Demo;
use super::verify::{Bench, Reader, digest_of};
use super::watch;
use anyhow::{Context as _, Result, ensure};

/// What the second commit goes back to.
const OUTDATED: &str = "waitress";

/// Everything after the first push; `in_browser` with the browser story in the middle.
pub(crate) fn check(
    demo: &mut Demo,
    house: &House,
    sample: &Sample,
    in_browser: bool,
) -> Result<()> {
    approved_promotion(demo, house)?;
    pages(demo, house)?;
    if in_browser {
        super::browser::story(demo, house, sample, None)?;
    }
    outdated_package(demo, house, sample)?;
    leaked_key(demo, house, sample)?;
    if in_browser {
        return Ok(());
    }
    super::times::tell(demo, "the check is done")
}

/// A developer requests, may not approve; a release manager approves; a stranger verifies.
fn approved_promotion(demo: &mut Demo, house: &House) -> Result<()> {
    let developer = Browser::sign_in(demo, &house.developer)?;
    let promotion = developer.request("prod")?;
    demo.say(&format!("{} requests {promotion}", house.developer.name));
    developer.may_not_approve(&promotion)?;
    let manager = Browser::sign_in(demo, &house.manager)?;
    manager.approve(
        &promotion,
        "Looked at the shop in staging; prices are right.",
    )?;
    demo.say(&format!("{} approves", house.manager.name));
    watch::promotion(demo, house, "prod", 0, &["applied"])?;
    verify(demo, house)
}

/// Every page answers whoever may see it, and sends everybody else to sign in.
fn pages(demo: &mut Demo, house: &House) -> Result<()> {
    let auditor = Browser::sign_in(demo, &house.auditor)?;
    for path in [
        "/",
        "/approvals",
        "/deliveries",
        "/log-entries",
        "/workers",
        "/projects/shop/runs",
        "/projects/shop/runs/1",
        "/projects/shop/runs/1/steps/api",
        "/projects/shop/environments",
    ] {
        auditor
            .page(path)
            .with_context(|| format!("the auditor opens {path}"))?;
        let stranger = crate::curl::Curl::default().get(&format!("{}{path}", demo.url()))?;
        ensure!(
            stranger.status == 303,
            "{path} answers a stranger {}",
            stranger.status
        );
    }
    ensure!(
        auditor.page("/deliveries")?.contains("refs/heads/main"),
        "the trigger history does not show the push"
    );
    demo.say("every page opens for the auditor and for no stranger");
    Ok(())
}

/// By openssl and securesystemslib, on bytes fetched with curl, with no code of ours.
fn verify(demo: &mut Demo, house: &House) -> Result<()> {
    let repository = format!("{}/prod/shop/web", demo.registry());
    let reader = Reader::new(&repository, &house.pull_token(demo, "prod/shop/web")?)?;
    let tags = reader.tags()?;
    ensure!(
        tags.iter().any(|tag| tag == "current"),
        "prod has no tag `current`: {tags:?}"
    );
    let digest = digest_of(&reader.manifest("current")?);
    let run = house
        .ask("/api/v1/projects/shop/runs/1")?
        .context("run 1")?;
    ensure!(
        run["images"][0]["digest"] == digest.as_str(),
        "prod holds {digest}, the run built {}",
        run["images"]
    );
    let bench = Bench::prepare(demo.place.root().join("bench"), &demo.kept)?;
    bench.image_signature(&reader, &repository, &digest, &house.public_key("release")?)?;
    demo.say(&format!(
        "openssl: {digest} is signed for {repository}; a flipped byte and another key are refused"
    ));
    let types = bench.provenance(&reader, &digest, &house.public_key("provenance")?)?;
    demo.say(&format!(
        "securesystemslib: attached and signed are {}; a flipped byte and another key are refused",
        types.join(", ")
    ));
    Ok(())
}

/// A package with a known hole reaches dev and no further.
fn outdated_package(demo: &mut Demo, house: &House, sample: &Sample) -> Result<()> {
    let number = watch::next_run(house)?;
    let in_dev = watch::promotions(house, "dev")?.len();
    let in_staging = watch::promotions(house, "staging")?.len();
    let repository = format!("{}/staging/shop/web", demo.registry());
    let reader = Reader::new(&repository, &house.pull_token(demo, "staging/shop/web")?)?;
    let in_staging_now = digest_of(&reader.manifest("current")?);
    sample.outdated_package()?;
    sample.push()?;
    demo.say("pushed a commit that goes back to a package with a known hole");
    let run = watch::run_to_end(demo, house, number)?;
    ensure!(
        run["cause"] == "passed",
        "the run did not pass:{}",
        watch::logs_of_failed(house, number, &run)
    );
    watch::promotion(demo, house, "dev", in_dev, &["applied"])?;
    let staging = watch::promotion(demo, house, "staging", in_staging, &["waiting"])?;
    let unmet = watch::unmet(&staging);
    let names_it = |line: &String| line.starts_with("Findings:") && line.contains(OUTDATED);
    ensure!(
        unmet.iter().any(names_it),
        "staging does not refuse {OUTDATED}: {unmet:?}"
    );
    ensure!(
        in_staging_now == digest_of(&reader.manifest("current")?),
        "the tag of staging has moved"
    );
    for line in unmet {
        demo.say(&format!("staging refuses: {line}"));
    }
    Ok(())
}

/// A key in the commit ends the run before anything is built.
fn leaked_key(demo: &mut Demo, house: &House, sample: &Sample) -> Result<()> {
    let number = watch::next_run(house)?;
    sample.leaked_key()?;
    sample.push()?;
    demo.say("pushed a commit with a key in it");
    let run = watch::run_to_end(demo, house, number)?;
    ensure!(
        run["cause"] == "failed",
        "the run with a leaked key is {}",
        run["cause"]
    );
    let step = |name: &str| {
        let mut steps = run["steps"].as_array().into_iter().flatten();
        steps.find(|step| step["name"] == name)
    };
    ensure!(
        step("style").is_some_and(|step| step["cause"] == "failed"),
        "the key was not found: {:?}",
        step("style")
    );
    let page = Browser::sign_in(demo, &house.auditor)?
        .page(&format!("/projects/shop/findings?run={number}"))?;
    ensure!(
        page.contains("gitleaks"),
        "no finding of gitleaks is told of run {number}"
    );
    ensure!(
        step("web").is_some_and(|step| step["state"] == "skipped"),
        "the image was built: {:?}",
        step("web")
    );
    ensure!(
        run["images"].as_array().is_some_and(Vec::is_empty),
        "there is an image: {}",
        run["images"]
    );
    demo.say("nothing was built of it");
    Ok(())
}
