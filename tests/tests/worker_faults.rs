//! What happens to the real worker: a base that brings more than its Dockerfile says, a registry that is
//! silent, down or full, a full disk, an engine that hangs, output that is cut off, a sandbox that is none.

use nix::sys::signal::{Signal, kill};
use tests::engine::{FaultyEngine, OwnEngine};
use tests::images::{Registry, STEPS, Wish};
use tests::place::Place;
use tests::yard::{Wanted, Yard, pipeline, run};

/// An image that an engine which is kept does not hold already.
async fn new_image(registry: &Registry, name: &str) -> String {
    let unique = tempfile::tempdir().unwrap();
    let unique = unique.path().display().to_string();
    let wish = Wish {
        only_here: &unique,
        ..STEPS
    };
    registry.push(name, &wish).await.unwrap()
}

/// Waits until a step has had so many leases that have ended; why each of them did.
async fn ends(yard: &Yard, step: &str, leases: usize) -> Vec<String> {
    yard.until("a lease ends", async || {
        let ends = yard.leases(step).await?;
        let ended = ends.iter().filter(|end| !end.is_empty()).count();
        Ok((ended >= leases).then(|| ends[..leases].to_vec()))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_base_that_brings_onbuild_is_refused_at_the_line_that_names_it() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let plain = registry.push("base/steps", &STEPS).await.unwrap();
    let brings = Wish {
        on_build: &["RUN /steps flood", "COPY . /all"],
        ..STEPS
    };
    let brings = registry.push("base/brings", &brings).await.unwrap();
    let dockerfile = format!("FROM {plain} AS one\n\nFROM {brings}\n");
    let wanted = Wanted {
        worker: "onbuild-1",
        pipelines: &[pipeline(
            "  web: { build: { dockerfile: Dockerfile, context: . } }\n",
        )],
        dockerfile: &dockerfile,
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.ended(1).await.unwrap();
    let refused = "refused the Dockerfile asks for what is not allowed";
    assert_eq!(yard.leases("web").await.unwrap(), [refused]);
    let step = yard.step(1, "web").await.unwrap();
    let log = String::from_utf8(yard.log(&step).await.unwrap().0).unwrap();
    assert!(
        log.contains("error[onbuild]: the base image brings ONBUILD instructions"),
        "{log}"
    );
    assert!(log.contains("--> Dockerfile:3:6"), "{log}");
    assert!(log.contains("the first is `RUN /steps flood`"), "{log}");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_registry_that_is_silent_or_down_costs_a_lease_after_bounded_tries() {
    let place = Place::find().unwrap();
    let mut registry = Registry::start(&place.registry).await.unwrap();
    let base = registry.push("base/steps", &STEPS).await.unwrap();
    let new = new_image(&registry, "base/new").await;
    let steps = [
        run("pulls", &new, &["/steps", "count", "3", "1"], ""),
        "  web: { build: { dockerfile: Dockerfile, context: . }, needs: [pulls] }\n".to_owned(),
    ];
    // Long enough for the registry to be stopped before the push.
    let dockerfile = format!("FROM {base}\nRUN [\"/steps\", \"count\", \"400\", \"10\"]\n");
    let wanted = Wanted {
        worker: "registry-1",
        pipelines: &[pipeline(&steps.concat())],
        dockerfile: &dockerfile,
        engine: "registry-timeout-secs = 1\n",
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    kill(registry.pid().unwrap(), Signal::SIGSTOP).unwrap();
    yard.push(0).await.unwrap();
    let silent = ends(&yard, "pulls", 1).await;
    let words = "1 s passed without a word";
    assert_eq!(
        silent,
        [format!(
            "infrastructure registry: could not pull an image: {words}"
        )]
    );
    registry.goes().unwrap();
    let down = ends(&yard, "pulls", 2).await.pop().unwrap();
    let begins = format!("infrastructure registry: could not pull {new}: ");
    assert!(down.starts_with(&begins), "{down}");
    registry.returns().await.unwrap();
    assert_eq!(ends(&yard, "pulls", 3).await[2], "passed");

    yard.until_it_prints("web", "line 50\n").await.unwrap();
    kill(registry.pid().unwrap(), Signal::SIGSTOP).unwrap();
    let silent = ends(&yard, "web", 1).await;
    assert_eq!(
        silent,
        [format!(
            "infrastructure registry: could not push the image: {words}"
        )]
    );
    kill(registry.pid().unwrap(), Signal::SIGCONT).unwrap();
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_registry_that_is_full_costs_a_lease_and_takes_the_image_when_it_has_room() {
    let place = Place::find().unwrap();
    let registry = Registry::start_on_a_disk(&place.registry, 64 << 20)
        .await
        .unwrap();
    let base = registry.push("base/steps", &STEPS).await.unwrap();
    let dockerfile = format!("FROM {base}\nCOPY . /all\n");
    let wanted = Wanted {
        worker: "room-1",
        pipelines: &[pipeline(
            "  web: { build: { dockerfile: Dockerfile, context: . } }\n",
        )],
        dockerfile: &dockerfile,
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    registry.is_full(true).unwrap();
    yard.push(0).await.unwrap();
    let full = ends(&yard, "web", 1).await.concat();
    let begins = "infrastructure registry: could not push the image: ";
    assert!(full.starts_with(begins), "{full}");
    let mut step = yard.step(1, "web").await.unwrap();
    step.fence = 1;
    let log = String::from_utf8(yard.log(&step).await.unwrap().0).unwrap();
    assert!(log.contains("the engine sends it again"), "{log}");
    registry.is_full(false).unwrap();
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_log_for_which_the_worker_has_no_room_ends_the_step_and_not_the_worker() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let steps = [
        run("floods", &image, &["/steps", "flood"], ""),
        run("small", &image, &["/steps", "count", "3", "1"], ""),
    ];
    let wanted = Wanted {
        worker: "full-1",
        pipelines: &steps.map(|step| pipeline(&step)),
        disk_bytes: Some(4 << 20),
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    let full = ends(&yard, "floods", 1).await.concat();
    assert!(
        full.starts_with("infrastructure log: could not use the spool file "),
        "{full}"
    );
    assert!(full.contains("No space left on device"), "{full}");
    assert!(
        yard.ended(1).await.unwrap().starts_with("infrastructure "),
        "it was tried again, and not for ever"
    );
    yard.push(1).await.unwrap();
    assert_eq!(yard.ended(2).await.unwrap(), "passed ");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_second_worker_on_one_folder_is_refused_and_the_first_goes_on() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let wanted = Wanted {
        worker: "twice-1",
        pipelines: &[pipeline(&run(
            "unit",
            &image,
            &["/steps", "count", "300", "10"],
            "",
        ))],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.until_it_prints("unit", "line 50\n").await.unwrap();
    for verb in ["run", "selftest"] {
        let second = yard.worker.says(verb).await.unwrap();
        assert!(
            second.contains("another worker works with"),
            "{verb}: {second}"
        );
    }
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    assert_eq!(yard.leases("unit").await.unwrap(), ["passed"]);
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn output_that_is_cut_off_is_never_a_whole_log() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let engine = FaultyEngine::before(&place.engine).unwrap();
    let place = Place {
        engine: engine.socket(),
        ..place
    };
    let wanted = Wanted {
        worker: "cut-1",
        pipelines: &[pipeline(&run(
            "unit",
            &image,
            &["/steps", "count", "800", "10"],
            "",
        ))],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.until_it_prints("unit", "line 50\n").await.unwrap();
    engine.cut();
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    let lost =
        "infrastructure the engine lost sight of a container: its output ended before it did";
    assert_eq!(yard.leases("unit").await.unwrap(), [lost, "passed"]);
    let step = yard.step(1, "unit").await.unwrap();
    let log = String::from_utf8(yard.log(&step).await.unwrap().0).unwrap();
    let lines = log.lines().filter(|line| line.starts_with("line "));
    assert_eq!(lines.count(), 800);
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, a registry's address and the programs, which cargo ci names"]
async fn a_step_on_an_engine_that_hangs_ends_at_its_deadline_and_the_next_one_runs() {
    let place = Place::find().unwrap();
    let engine = OwnEngine::start(&place, "sallyport-hangs").await.unwrap();
    let place = Place {
        engine: engine.socket(),
        ..place
    };
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let count = ["/steps", "count", "2000", "10"];
    let pipelines = [
        run("unit", &image, &count, ", timeout: 5s"),
        run("small", &image, &["/steps", "count", "3", "1"], ""),
    ]
    .map(|step| pipeline(&step));
    let wanted = Wanted {
        worker: "hangs-1",
        pipelines: &pipelines,
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    yard.until_it_prints("unit", "line 50\n").await.unwrap();
    engine.dockerd(Signal::SIGSTOP).unwrap();
    assert_eq!(yard.ended(1).await.unwrap(), "deadline of step unit");
    assert_eq!(yard.leases("unit").await.unwrap(), ["deadline 5 s"]);
    engine.dockerd(Signal::SIGCONT).unwrap();
    yard.push(1).await.unwrap();
    assert_eq!(yard.ended(2).await.unwrap(), "passed ");
    yard.worker.stop().await.unwrap();
    yard.worker.nothing_is_left().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the worker's engine, a registry's address and the programs, which cargo ci names"]
async fn a_worker_whose_sandbox_does_not_hold_takes_no_step() {
    let place = Place::find().unwrap();
    let registry = Registry::start(&place.registry).await.unwrap();
    let image = registry.push("base/steps", &STEPS).await.unwrap();
    let engine = FaultyEngine::before(&place.engine).unwrap();
    engine.forgets_to_drop_capabilities(true);
    let place = Place {
        engine: engine.socket(),
        ..place
    };
    let wanted = Wanted {
        worker: "weak-1",
        pipelines: &[pipeline(&run(
            "unit",
            &image,
            &["/steps", "count", "3", "1"],
            "",
        ))],
        ..Wanted::default()
    };
    let mut yard = Yard::start(&place, &registry, wanted).await.unwrap();
    yard.push(0).await.unwrap();
    assert_eq!(yard.worker.ended().await.unwrap(), Some(4));
    let said = yard.worker.words();
    let refused = "refusing to lease steps: the sandbox's rule no-capabilities does not hold";
    assert!(said.contains(refused), "{said}");
    yard.worker.nothing_is_left().await.unwrap();
    assert!(yard.leases("unit").await.unwrap().is_empty());

    engine.forgets_to_drop_capabilities(false);
    yard.worker.start().unwrap();
    assert_eq!(yard.ended(1).await.unwrap(), "passed ");
    yard.worker.stop().await.unwrap();
}
