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

/// The number that the next run will have.
pub(crate) fn next_run(house: &House) -> Result<u64> {
    let runs = house.ask("/api/v1/projects/shop/runs")?.unwrap_or_default();
    let numbers = runs.as_array().into_iter().flatten();
    let last = numbers.filter_map(|run| run["number"].as_u64()).max();
    Ok(last.unwrap_or(0) + 1)
}

/// An environment's promotions, the oldest first.
pub(crate) fn promotions(house: &House, environment: &str) -> Result<Vec<Value>> {
    let all = house.ask("/api/v1/projects/shop/promotions")?;
    let mut found: Vec<Value> = all
        .and_then(|all| all.as_array().cloned())
        .unwrap_or_default();
    found.retain(|promotion| promotion["environment"] == environment);
    found.reverse();
    Ok(found)
}

/// Waits until the n-th promotion into an environment is in one of some states.
pub(crate) fn promotion(
    demo: &mut Demo,
    house: &House,
    environment: &str,
    nth: usize,
    states: &[&str],
) -> Result<Value> {
    let deadline = Instant::now() + PROMOTION_LIMIT;
    loop {
        let found = promotions(house, environment)?.into_iter().nth(nth);
        let is_over = Instant::now() > deadline;
        if let Some(found) = found {
            let state = found["state"].as_str().unwrap_or("");
            if states.contains(&state) {
                demo.say(&format!("promotion to {environment}: {state}"));
                return shown(house, &found);
            }
            if is_over {
                bail!(
                    "no promotion into {environment} became {states:?}: {}",
                    unmet(&shown(house, &found)?).join("; ")
                );
            }
        }
        demo.programs.all_live()?;
        if is_over {
            bail!("no promotion into {environment} became {states:?}: nobody asked for one");
        }
        std::thread::sleep(LOOK);
    }
}

/// A promotion of a list, with its gate's conditions.
fn shown(house: &House, listed: &Value) -> Result<Value> {
    let id = listed["id"].as_str().context("a promotion has an id")?;
    house
        .ask(&format!("/api/v1/promotions/{id}"))?
        .context("a promotion is shown")
}

/// What people do while the demo waits for them, told as it happens.
#[derive(Default)]
pub(crate) struct Follower {
    said: BTreeMap<String, String>,
    runs: BTreeMap<u64, BTreeMap<String, String>>,
}

impl Follower {
    /// Knows what was told already.
    pub(crate) fn from_here(house: &House) -> Result<Self> {
        let mut this = Self::default();
        for promotion in all_promotions(house)? {
            let (name, words) = told(house, &promotion)?;
            this.said.insert(name, words);
        }
        Ok(this)
    }

    /// Says what changed since the last look: runs after the first, requests, approvals, promotions.
    pub(crate) fn look(&mut self, demo: &Demo, house: &House) -> Result<()> {
        for number in 2..next_run(house)? {
            let path = format!("/api/v1/projects/shop/runs/{number}");
            let said = self.runs.entry(number).or_default();
            if let Some(run) = house.ask(&path)? {
                say_changes(demo, number, &run, said);
            }
        }
        for promotion in all_promotions(house)?.iter().rev() {
            let (name, words) = told(house, promotion)?;
            if self.said.get(&name) != Some(&words) {
                demo.say(&format!("{name}: {words}"));
                self.said.insert(name, words);
            }
        }
        Ok(())
    }
}

fn all_promotions(house: &House) -> Result<Vec<Value>> {
    let all = house.ask("/api/v1/projects/shop/promotions")?;
    Ok(all
        .and_then(|all| all.as_array().cloned())
        .unwrap_or_default())
}

/// A promotion's name and what there is to say of it: its state, and what it still waits for.
fn told(house: &House, promotion: &Value) -> Result<(String, String)> {
    let text = |key: &str| promotion[key].as_str().unwrap_or("").to_owned();
    let name = format!(
        "promotion {} to {}",
        promotion["number"],
        text("environment")
    );
    let mut words = text("state");
    if words == "waiting" {
        let unmet = unmet(&shown(house, promotion)?);
        words = format!("requested, waits for: {}", unmet.join("; "));
    }
    if words == "applied" {
        for approval in approvals(&shown(house, promotion)?) {
            words = format!("approved ({approval}), {words}");
        }
    }
    if let Some(cause) = promotion["cause"].as_str() {
        words = format!("{words}, {cause}");
    }
    Ok((name, words))
}

/// How many said yes, as the gate's decision has it.
fn approvals(promotion: &Value) -> Vec<String> {
    let conditions = promotion["conditions"].as_array().into_iter().flatten();
    let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or("").to_owned();
    conditions
        .filter(|condition| text(condition, "title").starts_with("Approvals"))
        .map(|condition| format!("{}: {}", text(condition, "title"), text(condition, "value")))
        .collect()
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
