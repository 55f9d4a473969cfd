//! From a delivery to the first byte of its first step, and what a step costs over its bare container.

use super::engine::Engine;
use super::record::{Record, median, spread};
use crate::demo::{Deliveries, Filling, House, Running, Sample, watch};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often each is tried.
const TIMES: usize = 10;
/// Steps of the chain, one after the other.
const CHAIN: usize = 11;
/// What every container runs: it prints when it prints.
const COMMAND: [&str; 2] = ["date", "+%s%N"];

pub(super) fn measure(demo: &mut Running, house: &House, sample: &Sample) -> Result<()> {
    let mut record = Record::new(
        "steps",
        "From a delivery to a step's first byte, and what a step costs",
        "Release builds. Every container runs `date +%s%N` in base/python-dev and so prints at what time it printed.\n         \
         First byte: that time less the time at which the POST of the delivery began, for a pipeline of one step;\n         \
         by hand: less the time at which `create` was asked of the same engine (no pod, no profile, no work area).\n         \
         A step in a chain: the time between two successive steps' outputs, each of which needs the one before;\n         \
         by hand: create, attach, start, wait, remove through the engine's API.",
    )?;
    let filling = Filling::new(&demo.registry(), &demo.images, &sample.bare)?;
    let deliveries = Deliveries::of(demo, house)?;
    let mut first = Vec::new();
    for _ in 0..TIMES {
        let (posted, printed) = pushed(demo, house, sample, &deliveries, &pipeline(1, &filling))?;
        first.push(between(posted, *printed.first().context("a step printed")?));
    }
    let (_, printed) = pushed(demo, house, sample, &deliveries, &pipeline(CHAIN, &filling))?;
    let chain: Vec<f64> = printed
        .windows(2)
        .map(|two| between(two[0], two[1]))
        .collect();
    let engine = Engine::at(&demo.engine_socket());
    let (mut by_hand_first, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let asked = now()?;
        let ran = engine.run(&filling.python_dev, &COMMAND)?;
        by_hand_first.push(between(asked, time_in(&ran.printed)?));
        by_hand.push(ran.took.as_secs_f64() * 1000.0);
    }
    let overhead = median(&chain) - median(&by_hand);
    record.line(&format!(
        "first byte after the POST of a delivery   {}",
        spread(first)
    ));
    record.line(&format!(
        "first byte of the same container by hand  {}",
        spread(by_hand_first)
    ));
    record.line(&format!(
        "a step in a chain, from output to output  {}",
        spread(chain)
    ));
    record.line(&format!(
        "the same container by hand, as a whole    {}",
        spread(by_hand)
    ));
    record.line(&format!(
        "overhead of a step over that              {overhead:.0} ms (of the medians)"
    ));
    record.keep()
}

/// Commits a pipeline, posts its delivery, and waits until its run is over: when it was posted, and what each step
/// printed, in order.
fn pushed(
    demo: &mut Running,
    house: &House,
    sample: &Sample,
    deliveries: &Deliveries,
    pipeline: &str,
) -> Result<(Duration, Vec<Duration>)> {
    let number = watch::next_run(house)?;
    let (before, after) = sample.commit_unheard(pipeline)?;
    let body = deliveries.body("refs/heads/main", &before, &after, number);
    let posted = now()?;
    deliveries.post_one(&body)?;
    let run = watch::run_to_end(demo, house, number)?;
    ensure!(
        run["cause"] == "passed",
        "the run did not pass:{}",
        watch::logs_of_failed(house, number, &run)
    );
    let mut printed = Vec::new();
    for step in run["steps"].as_array().into_iter().flatten() {
        let name = step["name"].as_str().unwrap_or("");
        let path = format!("/api/v1/projects/shop/runs/{number}/steps/{name}/log");
        printed.push(time_in(&house.read(&path)?)?);
    }
    Ok((posted, printed))
}

/// A pipeline of some steps, one after the other.
fn pipeline(steps: usize, filling: &Filling) -> String {
    let mut text = "version: 1\non:\n  push: { branches: [main] }\nsteps:\n".to_owned();
    for step in 1..=steps {
        write!(
            text,
            "  s{step}:\n    run: {{ image: \"{}\", command: [{}, \"{}\"] }}\n    resources: {{ cpu: 1, memory: 256MiB, pids: 64 }}\n",
            filling.python_dev, COMMAND[0], COMMAND[1]
        )
        .ok();
        if step > 1 {
            writeln!(text, "    needs: [s{}]", step - 1).ok();
        }
    }
    text
}

/// The time that a container printed: nanoseconds since 1970, the only number of its length.
fn time_in(text: &str) -> Result<Duration> {
    let found = text
        .split(|letter: char| !letter.is_ascii_digit())
        .find(|word| word.len() == 19);
    let nanoseconds = found.with_context(|| format!("no time in: {text}"))?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with what containers read from this machine's clock"
)]
fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn between(from: Duration, to: Duration) -> f64 {
    (to.as_secs_f64() - from.as_secs_f64()) * 1000.0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_found_among_other_words() {
        let time = super::time_in("+ date 12\n1764124800123456789\n").unwrap();
        assert_eq!(time.as_nanos(), 1_764_124_800_123_456_789);
        assert!(super::time_in("no number").is_err());
    }
}
