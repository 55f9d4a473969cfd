//! Watching what a push becomes, and saying each change once.

use super::house::House;
use super::start::Demo;
use crate::program;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A run of the sample takes about a minute here; three builds at once on a slow machine take longer.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// A promotion by rule follows its evidence within seconds.
const PROMOTION_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(250);

/// Waits until a run has ended, printing each step's change; the run as the API shows it.
pub(crate) fn run_to_end(demo: &mut Demo, house: &House, number: u64) -> Result<Value> {
    let deadline = Instant::now() + RUN_LIMIT;
    let mut said = BTreeMap::new();
    loop {
        if let Some(run) = house.ask(&format!("/api/v1/projects/shop/runs/{number}"))? {
            say_changes(demo, number, &run, &mut said);
            if matches!(
                run["state"].as_str(),
                Some("finished" | "invalid" | "refused")
            ) {
                return Ok(run);
            }
        }
        demo.programs.all_live()?;
        if Instant::now() > deadline {
            bail!("run {number} did not end within {} s", RUN_LIMIT.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

fn say_changes(demo: &Demo, number: u64, run: &Value, said: &mut BTreeMap<String, String>) {
    let mut say = |what: String, words: String| {
        if said.get(&what) != Some(&words) {
            demo.say(&format!("run {number}: {what} {words}"));
            said.insert(what, words);
        }
    };
    for step in run["steps"].as_array().into_iter().flatten() {
        let (name, state) = (
            step["name"].as_str().unwrap_or(""),
            step["state"].as_str().unwrap_or(""),
        );
        let cause = step["cause"]
            .as_str()
            .map(|cause| format!(", {cause}"))
            .unwrap_or_default();
        if state != "blocked" {
            say(format!("step {name}"), format!("{state}{cause}"));
        }
    }
    for image in run["images"].as_array().into_iter().flatten() {
        say(
            format!("image {}", image["name"].as_str().unwrap_or("")),
            image["digest"].as_str().unwrap_or("").to_owned(),
        );
    }
    let cause = run["cause"]
        .as_str()
        .map(|cause| format!(", {cause}"))
        .unwrap_or_default();
    say(
        "is".to_owned(),
        format!("{}{cause}", run["state"].as_str().unwrap_or("")),
    );
}

fn cause_of(thing: &Value) -> String {
    let words: Vec<&str> = ["cause", "cause_detail"]
        .iter()
        .filter_map(|key| thing[*key].as_str())
        .collect();
    words.iter().map(|word| format!(", {word}")).collect()
}

/// The end of the logs of the steps that did not pass, for whoever has to find out why.
pub(crate) fn logs_of_failed(house: &House, number: u64, run: &Value) -> String {
    let mut text = String::new();
    for step in run["steps"].as_array().into_iter().flatten() {
        let name = step["name"].as_str().unwrap_or("");
        if step["cause"] == "passed" || step["cause"] == "needed" {
            continue;
        }
        let path = format!("/api/v1/projects/shop/runs/{number}/steps/{name}/log");
        let log = house.read(&path).unwrap_or_default();
        text.push_str(&format!(
            "\n--- {name}{}\n{}\n",
            cause_of(step),
            program::tail(&log)
        ));
    }
    text
}

/// Waits until a promotion of a run's release into an environment is in one of some states.
pub(crate) fn promotion(
    demo: &mut Demo,
    house: &House,
    environment: &str,
    nth: usize,
    states: &[&str],
) -> Result<Value> {
    let deadline = Instant::now() + PROMOTION_LIMIT;
    loop {
        let all = house
            .ask("/api/v1/projects/shop/promotions")?
            .unwrap_or_default();
        let mut of_environment: Vec<Value> = all.as_array().cloned().unwrap_or_default();
        of_environment.retain(|promotion| promotion["environment"] == environment);
        of_environment.reverse();
        if let Some(found) = of_environment.get(nth) {
            let id = found["id"].as_str().context("a promotion has an id")?;
            if states.contains(&found["state"].as_str().unwrap_or("")) {
                let shown = house.ask(&format!("/api/v1/promotions/{id}"))?;
                let shown = shown.context("a promotion is shown")?;
                demo.say(&format!(
                    "promotion to {environment}: {}",
                    shown["state"].as_str().unwrap_or("")
                ));
                return Ok(shown);
            }
        }
        demo.programs.all_live()?;
        if Instant::now() > deadline {
            let latest = of_environment
                .get(nth)
                .and_then(|found| found["id"].as_str());
            let shown = latest.map(|id| house.ask(&format!("/api/v1/promotions/{id}")));
            let unmet = shown
                .transpose()?
                .flatten()
                .map(|shown| unmet(&shown))
                .unwrap_or_default();
            bail!(
                "no promotion into {environment} became {states:?}: {}",
                unmet.join("; ")
            );
        }
        std::thread::sleep(LOOK);
    }
}

/// The conditions of a gate that are not met, as lines.
pub(crate) fn unmet(promotion: &Value) -> Vec<String> {
    let conditions = promotion["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or("").to_owned();
    conditions
        .iter()
        .filter(|condition| condition["state"] != "met")
        .map(|c| {
            format!(
                "{}: {} (wanted: {}). {}",
                text(c, "title"),
                text(c, "value"),
                text(c, "wanted"),
                text(c, "detail")
            )
        })
        .collect()
}
