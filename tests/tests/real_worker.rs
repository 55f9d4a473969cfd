//! Stories of the real worker on its own engine: what steps try, and what is killed in the middle.

use nix::sys::signal::{Signal, kill};
use std::time::Duration;
use tests::images::{Registry, STEPS, Wish};
use tests::place::Place;
use tests::yard::{Wanted, Yard, pipeline, run};

/// How long the orchestrator lies dead.
const AWAY: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_step_goes_on_while_the_orchestrator_lies_dead() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let steps = run("unit", &image, &["/steps", "count", "2600", "10"], "");
    let wanted = Wanted {
        worker: "dead-1",
        pipelines: &[pipeline(&steps)],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.until_it_prints("unit", "line 50\n").await.unwrap();
    yard.kill_server().unwrap();
    tokio::time::sleep(AWAY).await;
    yard.start_server().unwrap();
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    let step = yard.step(1, "unit").await.unwrap();
    assert_eq!(step.fence, 1, "it was not begun again");
    let (log, _) = yard.log(&step).await.unwrap();
    let log = String::from_utf8(log).unwrap();
    let lines: Vec<&str> = log.lines().filter(|l| l.starts_with("line ")).collect();
    let wanted: Vec<String> = (0..2600).map(|line| format!("line {line}")).collect();
    assert_eq!(lines, wanted, "every line, once");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_worker_that_is_killed_in_any_phase_starts_again_and_the_step_is_retried() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    // An engine that is kept has every other image already.
    let unique = tempfile::tempdir().unwrap();
    let unique = unique.path().display().to_string();
    let new = Wish {
        only_here: &unique,
        ..STEPS
    };
    let new = registry.push("base/new", &new).await.unwrap();
    let slow = ["/steps", "count", "200", "10"];
    let keep = ["/steps", "keep", "/work/src/kept"];
    let steps = [
        run("pulling", &new, &["/steps", "count", "3", "1"], ""),
        run("running", &image, &slow, ", needs: [pulling]"),
        run(
            "uploading",
            &image,
            &keep,
            ", needs: [running], artifacts: [kept]",
        ),
        run("reporting", &image, &slow, ", needs: [uploading]"),
    ];
    let wanted = Wanted {
        worker: "killed-1",
        pipelines: &[pipeline(&steps.concat())],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();

    // A registry that does not answer holds the pull.
    kill(registry.pid().unwrap(), Signal::SIGSTOP).unwrap();
    yard.push(0).await.unwrap();
    let phase = async |step: &str, wanted: &str| {
        let seen = yard.phase(step).await?;
        Ok((seen.as_deref() == Some(wanted)).then_some(()))
    };
    yard.until("it pulls", async || {
        phase("pulling", "fetching image").await
    })
    .await
    .unwrap();
    yard.worker.kill().unwrap();
    kill(registry.pid().unwrap(), Signal::SIGCONT).unwrap();
    yard.worker.start().unwrap();

    step_runs(&yard, "running").await;
    yard.worker.kill().unwrap();
    yard.worker.start().unwrap();

    // An orchestrator that does not answer holds what comes after the work.
    step_runs(&yard, "uploading").await;
    yard.server(Signal::SIGSTOP).unwrap();
    until_containers(&yard, (1, 0)).await;
    yard.worker.kill().unwrap();
    yard.server(Signal::SIGCONT).unwrap();
    yard.worker.start().unwrap();

    step_runs(&yard, "reporting").await;
    yard.server(Signal::SIGSTOP).unwrap();
    until_containers(&yard, (0, 0)).await;
    yard.worker.kill().unwrap();
    yard.server(Signal::SIGCONT).unwrap();
    yard.worker.start().unwrap();

    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    for step in ["pulling", "running", "uploading", "reporting"] {
        let ends = yard.leases(step).await.unwrap();
        assert_eq!(
            ends,
            ["infrastructure worker restarted", "passed"],
            "{step}"
        );
    }
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

/// Waits until the step's own container runs.
async fn step_runs(yard: &Yard, step: &str) {
    yard.until("the step runs", async || {
        let leased = yard.step(1, step).await?.state == "leased";
        Ok((leased && yard.worker.step_containers().await? == (1, 1)).then_some(()))
    })
    .await
    .unwrap();
}

async fn until_containers(yard: &Yard, wanted: (usize, usize)) {
    yard.until("its containers end", async || {
        Ok((yard.worker.step_containers().await? == wanted).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn steps_that_misbehave_end_with_their_own_fault_and_leave_nothing() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let volume = Wish {
        volumes: &["/data", "/tmp/inner/"],
        ..STEPS
    };
    let volume = registry.push("base/volume", &volume).await.unwrap();
    let over_etc = Wish {
        volumes: &["/etc"],
        ..STEPS
    };
    let over_etc = registry.push("base/over-etc", &over_etc).await.unwrap();
    let mut steps = String::new();
    for (name, image, command, more) in [
        ("forks", &image, &["/steps", "fork"][..], ""),
        ("fills", &image, &["/steps", "fill", "/work/src/x"], ""),
        ("volume", &volume, &["/steps", "fill", "/data/x"], ""),
        ("stubborn", &image, &["/steps", "stubborn"], ", timeout: 3s"),
        ("floods", &image, &["/steps", "flood"], ""),
        ("garbles", &image, &["/steps", "garble"], ""),
        ("nothing", &image, &["/nothing"], ""),
        ("over-etc", &over_etc, &["/steps", "garble"], ""),
        (
            "greedy",
            &image,
            &["/steps", "garble"],
            ", resources: { cpu: 64 }",
        ),
        (
            "removes",
            &image,
            &["/steps", "remove", "/work/src"],
            ", artifacts: [\"*.yml\"]",
        ),
    ] {
        steps.push_str(&run(name, image, command, more));
    }
    let wanted = Wanted {
        worker: "bad-1",
        pipelines: &[pipeline(&steps)],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.ended(1).await.unwrap();
    let mut ends = Vec::new();
    let mut logs = std::collections::BTreeMap::new();
    for name in [
        "forks", "fills", "volume", "stubborn", "floods", "garbles", "nothing", "over-etc",
        "greedy", "removes",
    ] {
        let step = yard.step(1, name).await.unwrap();
        assert_eq!(step.fence, 1, "{name} was not tried again: {step:?}");
        ends.push(format!(
            "{name}: {} {}",
            step.cause.clone().unwrap_or_default(),
            step.cause_detail.clone().unwrap_or_default()
        ));
        logs.insert(name, yard.log(&step).await.unwrap());
    }
    let text = |name: &str| String::from_utf8_lossy(&logs[name].0).into_owned();
    insta::assert_snapshot!(ends.join("\n"), @r"
    forks: failed exit code 7
    fills: failed exit code 3
    volume: failed exit code 3
    stubborn: deadline 3 s
    floods: passed 
    garbles: passed 
    nothing: failed exit code 127
    over-etc: refused the sandbox does not allow it: /etc as a writable folder or VOLUME
    greedy: refused the sandbox does not allow it: it asks for 64000 thousandths of a CPU (`resources.cpu`), and this worker's engine has 2000 for all its containers
    removes: failed /work/src is not there any more, so nothing of it can be kept
    ");
    assert!(text("forks").contains("refused: true"), "{}", text("forks"));
    assert!(
        text("fills").contains("MiB: StorageFull"),
        "{}",
        text("fills")
    );
    assert!(
        text("volume").contains("MiB: StorageFull"),
        "{}",
        text("volume")
    );
    let garbled = b"before \xff\xfe\xc3( after\n";
    assert!(
        logs["garbles"]
            .0
            .windows(garbled.len())
            .any(|w| w == garbled)
    );
    let (flood, dropped) = &logs["floods"];
    assert!(
        flood.len() <= 64 << 20 && *dropped > 130_000_000,
        "{dropped}"
    );
    assert!(text("floods").contains("MB more were printed and are not kept\n"));
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_scanner_that_crashes_hangs_or_prints_garbage_is_never_a_clean_bill() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let scanner = Wish {
        program: "/usr/bin/gitleaks",
        ..STEPS
    };
    let scanner = registry.push("tools/gitleaks", &scanner).await.unwrap();
    let tools = format!("[tools]\ngitleaks = \"{scanner}\"\n");
    let commits = ["crashes", "hangs", "babbles"].map(|how| {
        let step = "  secrets: { analyze: { tools: [gitleaks] }, timeout: 4s }\n";
        format!("{}# scanner: {how}\n", pipeline(step))
    });
    let wanted = Wanted {
        worker: "scan-1",
        pipelines: &commits,
        tools: &tools,
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    let mut ends = Vec::new();
    for number in 0..3 {
        yard.push(number).await.unwrap();
        let run = number as i64 + 1;
        yard.ended(run).await.unwrap();
        let step = yard.step(run, "secrets").await.unwrap();
        let words = [step.cause.unwrap(), step.cause_detail.unwrap()];
        ends.push(words.join(" "));
    }
    let crashed = "failed gitleaks: exit code 134 (signal 6)";
    assert_eq!(ends[..2], [crashed, "deadline 4 s"]);
    let babbled = "failed gitleaks: its report is not JSON";
    assert!(ends[2].starts_with(babbled), "{ends:?}");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}
