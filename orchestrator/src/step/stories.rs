//! Stories of steps on both databases: a run, workers that claim, and what may go wrong.

mod floor;

use super::claim::DEADLINE_GRACE;
use super::{
    Appended, ArtifactStored, Beat, Chunk, Claimed, LeaseKey, Observation, Reported, Right,
    StepState, Verdict, heartbeat,
};
use crate::run::{Cause, RunState};
use bytes::Bytes;
use contract::digest::Digest;
use contract::protocol::{Job, Outcome};
use floor::{Floor, StepAt, at};
use std::collections::BTreeSet;
use std::time::Duration;

crate::store_tests! {
    fn a_green_run_has_a_proof_for_every_step(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[]), ("lint", &["unit"])]).await;
        let worker = floor.worker("demo-1", 2).await;
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Ready), at("lint", StepAt::Blocked)]);

        for name in ["unit", "lint"] {
            let job = floor.claims(&worker).await;
            assert_eq!(job.step.as_str(), name);
            assert!(matches!(floor.claim(&worker).await, Claimed::Nothing), "the other one waits");
            floor.prints(&worker, &job, &["hello\n", "world\n"]).await;
            floor.reports(&worker, &job, Outcome::Passed).await;
            floor.pass().await;
        }
        assert_eq!(floor.run_ended(&run).await, Some(Cause::Passed));
    }

    fn a_step_is_not_green_while_a_later_room_has_not_answered(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.says(Verdict::NotYet, Observation::NotYet);
        floor.pass().await;
        let job = floor.claims(&worker).await;
        floor.prints(&worker, &job, &["x"]).await;
        floor.reports(&worker, &job, Outcome::Passed).await;
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Reported)]);

        floor.says(Verdict::Failed { what: "1 test failed".to_owned() }, Observation::NotYet);
        floor.pass().await;
        let wanted = Cause::Failed { what: "unit".to_owned() };
        assert_eq!(floor.run_ended(&run).await, Some(wanted));
    }

    fn what_needs_a_failed_step_is_skipped_with_its_cause(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let failed = Outcome::Failed { reason: "exit code 1".to_owned(), exit_code: Some(1) };
        floor.reports(&worker, &job, failed).await;
        floor.pass().await;
        let needed = |step: &str| StepAt::Skipped(Cause::Needed { step: step.to_owned() });
        let ended = StepAt::Finished(Cause::Failed { what: "exit code 1".to_owned() });
        assert_eq!(
            floor.steps(&run).await,
            [at("a", ended), at("b", needed("a")), at("c", needed("b"))]
        );
        assert_eq!(floor.run_ended(&run).await, Some(Cause::Failed { what: "a".to_owned() }));
    }

    fn eight_workers_racing_never_double_a_step_nor_pass_the_projects_limit(db: Db) {
        let floor = Floor::new(db).await;
        let names: Vec<String> = (0..12).map(|i| format!("s{i}")).collect();
        let steps: Vec<(&str, &[&str])> = names.iter().map(|n| (n.as_str(), &[][..])).collect();
        floor.run_with(&steps, 6).await;
        floor.pass().await;
        let mut workers = Vec::new();
        for i in 0..8 {
            workers.push(floor.worker(&format!("w{i}"), 1).await);
        }
        let claims = workers.iter().map(|worker| floor.claim(worker));
        let mut leased = BTreeSet::new();
        for claimed in futures::future::join_all(claims).await {
            if let Claimed::Leased(job) = claimed {
                assert_eq!(job.fence, 1);
                assert!(leased.insert(job.step_id), "a step was leased twice");
            }
        }
        // On PostgreSQL a claim that met another one comes back with nothing and asks again.
        for worker in &workers {
            if let Claimed::Leased(job) = floor.claim(worker).await {
                assert!(leased.insert(job.step_id), "a step was leased twice");
            }
        }
        assert_eq!(leased.len(), 6, "six is the project's limit");
    }

    fn a_project_with_a_long_queue_does_not_starve_another(db: Db) {
        let floor = Floor::new(db).await;
        floor.run_with(&[("a", &[]), ("b", &[]), ("c", &[])], 4).await;
        floor.pass().await;
        floor.later(Duration::from_secs(1));
        let other = floor.run_of("blog", &[("z", &[])], 4).await;
        floor.pass().await;
        let worker = floor.worker("demo-1", 8).await;
        assert_eq!(floor.claims(&worker).await.project.as_str(), "shop");
        assert_eq!(floor.claims(&worker).await.project.as_str(), "blog");
        assert_eq!(floor.steps(&other).await, [at("z", StepAt::Leased)]);
    }

    fn every_write_under_a_stale_fence_is_refused(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let stale = floor.claims(&worker).await;
        floor.later(Duration::from_secs(31));
        floor.pass().await;
        floor.later(Duration::from_secs(2));
        let fresh = floor.claims(&worker).await;
        assert_eq!((stale.fence, fresh.fence), (1, 2));

        let key = floor.key(&worker, &stale);
        let lost = heartbeat(&floor.ground, &key, "running").await.unwrap();
        assert!(matches!(lost, Beat::Lost));
        let lost = floor.append(&key, 0, 0, b"x", b"x").await;
        assert!(matches!(lost, Appended::LeaseLost), "{lost:?}");
        assert_eq!(floor.uploads(&key, 0, "files/a", b"a").await, ArtifactStored::LeaseLost);
        assert_eq!(floor.report(&worker, &stale, Outcome::Passed).await, Reported::LeaseLost);
        assert_eq!(crate::step::source(&floor.ground, &key).await.unwrap(), None);
        assert_eq!(floor.right(&key, "registry.example/base/python").await, Right::LeaseLost);

        let key = floor.key(&worker, &fresh);
        let held = heartbeat(&floor.ground, &key, "running").await.unwrap();
        assert!(matches!(held, Beat::Held(_)));
    }

    fn another_workers_lease_is_not_ones_own(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        let thief = floor.worker("demo-2", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&thief, &job);
        assert!(matches!(floor.append(&key, 0, 0, b"x", b"x").await, Appended::LeaseLost));
        assert_eq!(floor.report(&thief, &job, Outcome::Passed).await, Reported::LeaseLost);
    }

    fn a_lost_worker_is_tried_again_three_times_and_then_given_up(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 4).await;
        floor.pass().await;
        for (fence, pause) in [(1, 1), (2, 5), (3, 25)] {
            assert_eq!(floor.claims(&worker).await.fence, fence);
            floor.later(Duration::from_secs(31));
            floor.pass().await;
            assert!(matches!(floor.claim(&worker).await, Claimed::Nothing), "too early");
            floor.later(Duration::from_secs(pause));
        }
        assert_eq!(floor.claims(&worker).await.fence, 4);
        floor.later(Duration::from_secs(31));
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Finished(Cause::WorkerLost))]);
        let wanted = Cause::Infrastructure { what: "step unit: worker lost".to_owned() };
        assert_eq!(floor.run_ended(&run).await, Some(wanted));
    }

    fn a_step_with_effects_outside_is_never_repeated(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run_with_effects("publish").await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        floor.claims(&worker).await;
        floor.later(Duration::from_secs(31));
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("publish", StepAt::Finished(Cause::WorkerLost))]);
    }

    fn heartbeats_keep_a_lease_and_the_deadline_ends_it_all_the_same(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        for _ in 0..4 {
            floor.later(Duration::from_secs(20));
            let beat = heartbeat(&floor.ground, &key, "running").await.unwrap();
            assert!(matches!(beat, Beat::Held(_)));
            floor.pass().await;
        }
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Leased)]);
        floor.later(Duration::from_secs(15));
        floor.pass().await;
        let deadline = Cause::Deadline { which: "60 s".to_owned() };
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Finished(deadline))]);
    }

    fn a_lease_that_ran_out_while_nobody_listened_is_still_the_workers(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        floor.later(Duration::from_secs(120));
        let floor = floor.restarts();
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Leased)]);
        assert!(matches!(floor.append(&key, 0, 0, b"x", b"x").await, Appended::Durable(_)));
        floor.reports(&worker, &job, Outcome::Passed).await;
        floor.pass().await;
        assert_eq!(floor.run_ended(&run).await, Some(Cause::Passed));
    }

    fn a_worker_that_is_silent_after_a_restart_is_lost_after_all(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        floor.claims(&worker).await;
        floor.later(Duration::from_secs(40));
        let floor = floor.restarts();
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Leased)]);
        floor.later(Duration::from_secs(31));
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Ready)]);
    }

    fn a_worker_that_restarted_gives_back_what_it_held(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        floor.claims(&worker).await;
        assert_eq!(crate::step::restarted(&floor.ground, &worker.worker.id).await.unwrap(), 1);
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Ready)]);
        floor.later(Duration::from_secs(1));
        assert_eq!(floor.claims(&worker).await.fence, 2);
    }

    fn a_cancelled_run_ends_and_says_by_whom(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("a", &[]), ("b", &["a"])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        floor.cancels(&run).await;
        floor.pass().await;
        let by = || Cause::Cancelled { by: "system".to_owned() };
        assert_eq!(
            floor.steps(&run).await,
            [at("a", StepAt::Leased), at("b", StepAt::Skipped(by()))]
        );
        let key = floor.key(&worker, &job);
        let Beat::Held(answer) = heartbeat(&floor.ground, &key, "running").await.unwrap() else {
            panic!("the lease is held until the worker has ended the work");
        };
        assert!(answer.cancel);
        floor.reports(&worker, &job, Outcome::Cancelled).await;
        floor.pass().await;
        assert_eq!(floor.run_ended(&run).await, Some(by()));
    }

    fn a_log_with_a_gap_or_another_hash_is_refused_and_a_repeat_is_not(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        let durable = |appended: &Appended| matches!(appended, Appended::Durable(a) if a.next_sequence == 1);
        assert!(durable(&floor.append(&key, 0, 0, b"one\n", b"one\n").await));
        assert!(durable(&floor.append(&key, 0, 0, b"one\n", b"one\n").await), "its answer was lost");
        for (sequence, offset, bytes, all) in [
            (2, 4, "three\n", "one\nthree\n"), // a gap in the numbers
            (1, 9, "two\n", "one\ntwo\n"),     // a gap in the offsets
            (1, 4, "two\n", "one\nTWO\n"),     // another hash
            (0, 0, "eno\n", "eno\n"),          // other bytes under a durable number
        ] {
            let came = floor.append(&key, sequence, offset, bytes.as_bytes(), all.as_bytes()).await;
            assert!(matches!(came, Appended::OutOfOrder(_)), "{sequence} {offset} {came:?}");
        }
        // After a restart the running hash is made again from what is durable.
        let floor = floor.restarts();
        let came = floor.append(&key, 1, 4, b"two\n", b"one\ntwo\n").await;
        assert!(matches!(came, Appended::Durable(_)), "{came:?}");
        let slice = floor.hands.logs.read(&floor.ground, &key.step, key.fence, 4).await.unwrap();
        assert_eq!((slice.bytes.as_slice(), slice.next_offset, slice.end), (&b"two\n"[..], 8, 8));
    }

    fn a_log_that_was_cut_or_changed_on_disk_is_never_green(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        floor.prints(&worker, &job, &["all is well\n"]).await;
        floor.tampers_with_log(&job);
        let report = floor::report(&job, Outcome::Passed, &["all is well\n"]);
        let key = floor.key(&worker, &job);
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::Stored);
        floor.pass().await;
        let what = "step unit: log: the stored file was cut or changed".to_owned();
        assert_eq!(floor.run_ended(&run).await, Some(Cause::Incomplete { what }));
    }

    fn a_log_says_how_much_of_it_was_not_kept(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        floor.prints(&worker, &job, &["one\n"]).await;
        let key = floor.key(&worker, &job);
        let dropped = async || floor.hands.logs.read(&floor.ground, &key.step, key.fence, 0).await.unwrap().dropped;
        assert_eq!(dropped().await, 0, "nothing is known before the report");
        let mut report = floor::report(&job, Outcome::Passed, &["one\n"]);
        report.log.dropped_bytes = 7_000_000_000;
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::Stored);
        assert_eq!(dropped().await, 7_000_000_000);
    }

    fn a_report_that_claims_more_than_came_is_incomplete(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        assert!(matches!(floor.append(&key, 0, 0, b"one\n", b"one\n").await, Appended::Durable(_)));
        let mut report = floor::report(&job, Outcome::Passed, &["one\n", "two\n"]);
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::Stored);
        // Once more, as after a lost answer; then with another content.
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::Stored);
        report.network = true;
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::LeaseLost);
        floor.pass().await;
        let Some(Cause::Incomplete { what }) = floor.run_ended(&run).await else {
            panic!("half a log is not green");
        };
        assert!(what.contains("4 bytes in 1 chunks are here, 8 bytes in 2 chunks were sent"), "{what}");
    }

    fn a_declared_artifact_that_is_missing_is_incomplete(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        let mut report = floor::report(&job, Outcome::Passed, &[]);
        report.artifacts = vec![floor::claim("files/a", b"a"), floor::claim("files/b", b"b")];
        assert_eq!(floor.uploads(&key, 0, "files/a", b"a").await, ArtifactStored::Durable);
        assert_eq!(floor.uploads(&key, 0, "files/a", b"a").await, ArtifactStored::Durable);
        let other = floor.uploads(&key, 0, "files/c", b"c").await;
        assert!(matches!(other, ArtifactStored::OutOfOrder(_)));
        assert_eq!(floor.uploads_other(&key).await, ArtifactStored::NotThese);
        assert_eq!(floor.sends(&worker, &key, &report).await, Reported::Stored);
        floor.pass().await;
        let what = "step unit: artifact files/b".to_owned();
        assert_eq!(floor.run_ended(&run).await, Some(Cause::Incomplete { what }));
    }

    fn a_report_under_another_key_or_about_another_lease_is_refused(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        let stranger = floor.worker("demo-2", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        let report = floor::report(&job, Outcome::Passed, &[]);
        let forged = stranger.signs(&report);
        let refused = crate::step::report(&floor.ground, &floor.hands.logs, &worker.worker, &key, forged);
        assert!(matches!(refused.await.unwrap(), Reported::Refused(_)));
        let other = Job { fence: 7, ..job.clone() };
        let report = floor::report(&other, Outcome::Passed, &[]);
        assert!(matches!(floor.sends(&worker, &key, &report).await, Reported::Refused(_)));
    }

    fn a_lease_gives_no_right_beyond_what_its_work_names(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        let granted = floor.right(&key, "registry.example/base/python").await;
        assert!(matches!(granted, Right::Granted { push: false, .. }), "{granted:?}");
        for other in ["registry.example/prod/shop/web", "registry.example/base/python/x"] {
            assert_eq!(floor.right(&key, other).await, Right::Refused, "{other}");
        }
        assert_eq!(floor.push_right(&key, "registry.example/base/python").await, Right::Refused);
    }

    fn a_lease_lasts_as_long_as_the_right_that_it_gave_and_a_heartbeat_does_not_shorten_it(db: Db) {
        let floor = Floor::new(db).await;
        let run = floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        let job = floor.claims(&worker).await;
        let key = floor.key(&worker, &job);
        let granted = floor.right(&key, "registry.example/base/python").await;
        let Right::Granted { until, .. } = granted else {
            panic!("{granted:?}");
        };
        let deadline = floor.ground.now().plus(Duration::from_secs(60)).plus(DEADLINE_GRACE);
        assert_eq!(until, deadline, "minutes, but never past the deadline");
        let Beat::Held(answer) = heartbeat(&floor.ground, &key, "pulling").await.unwrap() else {
            panic!("the lease is held");
        };
        assert_eq!(answer.lease_ends_at, deadline.0);
        floor.later(Duration::from_secs(40));
        floor.pass().await;
        assert_eq!(floor.steps(&run).await, [at("unit", StepAt::Leased)]);
    }

    fn a_drained_or_silent_worker_gets_nothing(db: Db) {
        let floor = Floor::new(db).await;
        floor.run(&[("unit", &[])]).await;
        let worker = floor.worker("demo-1", 1).await;
        floor.pass().await;
        floor.drains(&worker).await;
        assert!(matches!(floor.claim(&worker).await, Claimed::Nothing));
        let silent = floor.enrolled("demo-2").await;
        assert!(matches!(floor.claim(&silent).await, Claimed::NoHello));
    }
}

#[test]
fn a_chunk_is_not_empty_and_not_huge() {
    // The bounds are those of the contract; the room answers `TooLarge` for both.
    let chunk = |bytes: usize| Chunk {
        sequence: 0,
        offset: 0,
        sha256: Digest::of(b""),
        bytes: Bytes::from(vec![0; bytes]),
    };
    assert!(chunk(contract::protocol::LOG_CHUNK_BYTES_MAX + 1).is_out_of_bounds());
    assert!(chunk(0).is_out_of_bounds());
    assert!(!chunk(1).is_out_of_bounds());
}

/// What a run's state says of its end.
fn ended(state: RunState) -> Option<Cause> {
    match state {
        RunState::Finished { cause, .. } => Some(cause),
        RunState::Waiting
        | RunState::Running { .. }
        | RunState::Invalid { .. }
        | RunState::Refused { .. } => None,
    }
}

/// A step's state without its times.
fn shown(state: StepState) -> StepAt {
    match state {
        StepState::Blocked => StepAt::Blocked,
        StepState::Ready { .. } => StepAt::Ready,
        StepState::Leased(_) => StepAt::Leased,
        StepState::Reported { .. } => StepAt::Reported,
        StepState::Finished { cause, .. } => StepAt::Finished(cause),
        StepState::Skipped { cause, .. } => StepAt::Skipped(cause),
    }
}

/// The key of a lease, as its worker presents it.
fn key_of(worker: &floor::TestWorker, job: &Job) -> LeaseKey {
    LeaseKey {
        step: super::StepId::parse(&job.step_id).unwrap(),
        fence: job.fence,
        worker: worker.worker.id.clone(),
    }
}
