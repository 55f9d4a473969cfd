//! The pass: steps for new runs, ends for what was cancelled, lost or late, a verdict for what was
//! reported.

use super::advance::advance;
use super::claim::LEASE;
use super::end::{Ended, end};
use super::settle::settle;
use super::state::{Error, Hands, Step, StepId, StepState};
use super::store::{self, NewStep};
use crate::clock::At;
use crate::db::Conn;
use crate::ground::Ground;
use crate::id::IdSource;
use crate::reconcile::Progress;
use crate::run::{self, Cause, Plan, RunId};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::Instrument as _;

/// Items of one kind in one pass; the rest is found by the next one.
const BATCH: i64 = 100;
/// A worker that was told of a cancel has so long to say so itself, with the whole log.
const CANCEL_GRACE: Duration = Duration::from_secs(60);

/// One pass. `Moved` when anything was settled.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let progress = new_runs(ground)
        .await?
        .or(cancelled(ground).await?)
        .or(overdue(ground, hands).await?)
        .or(reported(ground, hands).await?);
    if progress == Progress::Moved {
        hands.claims.strike();
    }
    Ok(progress)
}

/// One bad item does not stop the others: it is logged here, once a pass.
fn noted(what: &'static str, id: &str, result: Result<bool, Error>) -> Progress {
    match result {
        Ok(true) => Progress::Moved,
        Ok(false) => Progress::Idle,
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::error!(step.id = id, error = format!("{error:#}"), "{what}");
            Progress::Idle
        }
    }
}

/// Every line about the step says which it is, and of which run.
fn span(step: &Step) -> tracing::Span {
    tracing::info_span!("step", run.id = %step.run_id, step.id = %step.id)
}

async fn new_runs(ground: &Ground) -> Result<Progress, Error> {
    let runs = {
        let mut conn = ground.db.reader().await?;
        run::without_steps(&mut conn, BATCH).await?
    };
    let mut progress = Progress::Idle;
    for (run, project, plan) in runs {
        let span = tracing::info_span!("step", run.id = %run);
        let made = make_steps(ground, &run, &project, &plan)
            .instrument(span)
            .await;
        progress = progress.or(noted(
            "the steps of a run could not be made",
            run.as_str(),
            made,
        ));
    }
    Ok(progress)
}

async fn make_steps(
    ground: &Ground,
    run: &RunId,
    project: &str,
    plan: &str,
) -> Result<bool, Error> {
    let plan: Plan = serde_json::from_str(plan).map_err(|source| run::Error::Plan {
        run: run.to_string(),
        source,
    })?;
    let (now, ids, run, project) = (
        ground.now(),
        ground.ids.clone(),
        run.clone(),
        project.to_owned(),
    );
    ground
        .db
        .write("step.make", move |conn| {
            Box::pin(async move {
                if !store::list(conn, &run).await?.is_empty() {
                    return Ok(false);
                }
                insert_steps(conn, ids.as_ref(), &run, &project, &plan).await?;
                advance(conn, ids.as_ref(), &run, now).await?;
                Ok::<_, Error>(true)
            })
        })
        .await
}

async fn insert_steps(
    conn: &mut Conn,
    ids: &dyn IdSource,
    run: &RunId,
    project: &str,
    plan: &Plan,
) -> Result<(), Error> {
    let mut by_name = BTreeMap::new();
    for (ordinal, step) in plan.steps.iter().enumerate() {
        let id = StepId::new(ids);
        let work = serde_json::to_string(step).map_err(|source| Error::Stored {
            what: "plan",
            step: id.clone(),
            source,
        })?;
        let new = NewStep {
            id: &id,
            run_id: run,
            project_id: project,
            name: &step.name,
            kind: step.work.kind(),
            ordinal: i64::try_from(ordinal).unwrap_or(i64::MAX),
            work: &work,
            timeout_ms: i64::try_from(step.timeout_ms).unwrap_or(i64::MAX),
            parallel_max: i64::from(plan.parallel_steps),
        };
        store::insert(conn, new).await?;
        by_name.insert(step.name.clone(), id);
    }
    for step in &plan.steps {
        let needed = step.needs.iter().chain(step.work.image_of());
        let needed: std::collections::BTreeSet<_> = needed.collect();
        for name in needed {
            if let (Some(id), Some(needs)) = (by_name.get(&step.name), by_name.get(name)) {
                store::insert_need(conn, id, needs).await?;
            }
        }
    }
    Ok(())
}

async fn cancelled(ground: &Ground) -> Result<Progress, Error> {
    let steps = {
        let mut conn = ground.db.reader().await?;
        store::cancelled(&mut conn, BATCH).await?
    };
    let mut progress = Progress::Idle;
    for (id, by, asked_at) in steps {
        let ended = end_cancelled(ground, &id, by, At(asked_at)).await;
        progress = progress.or(noted("a cancelled step could not be ended", &id, ended));
    }
    Ok(progress)
}

async fn end_cancelled(ground: &Ground, id: &str, by: String, asked_at: At) -> Result<bool, Error> {
    let (now, ids) = (ground.now(), ground.ids.clone());
    let Ok(id) = StepId::parse(id) else {
        return Ok(false);
    };
    ground
        .db
        .write("step.cancel", move |conn| {
            Box::pin(async move {
                let Some(step) = store::by_id(conn, &id).await? else {
                    return Ok(false);
                };
                let cause = Cause::Cancelled { by };
                match &step.state {
                    StepState::Blocked | StepState::Ready { .. } => {
                        store::skip(conn, &id, &cause, now).await?;
                        advance(conn, ids.as_ref(), &step.run_id, now).await?;
                        Ok(true)
                    }
                    StepState::Leased(_) if now.since(asked_at) > CANCEL_GRACE => {
                        let ended = end(conn, ids.as_ref(), &step, cause, now).await?;
                        Ok(ended != Ended::Lost)
                    }
                    StepState::Leased(_)
                    | StepState::Reported { .. }
                    | StepState::Finished { .. }
                    | StepState::Skipped { .. } => Ok::<_, Error>(false),
                }
            })
        })
        .await
}

async fn overdue(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let steps = {
        let mut conn = ground.db.reader().await?;
        store::overdue(&mut conn, overdue_before(ground, hands), BATCH).await?
    };
    let mut progress = Progress::Idle;
    for step in steps {
        let ended = end_overdue(ground, hands, &step)
            .instrument(span(&step))
            .await;
        hands.logs.forget(&step.id, step.fence);
        progress = progress.or(noted(
            "an overdue step could not be ended",
            step.id.as_str(),
            ended,
        ));
    }
    Ok(progress)
}

/// What ran out before this moment is overdue. A process that has just started first gives every
/// worker the time of a lease to be heard again: it may have gone on, and even have ended in time.
fn overdue_before(ground: &Ground, hands: &Hands) -> At {
    let now = ground.now();
    if now.since(hands.up_since) < LEASE {
        At(i64::MIN)
    } else {
        now
    }
}

async fn end_overdue(ground: &Ground, hands: &Hands, step: &Step) -> Result<bool, Error> {
    let before = overdue_before(ground, hands);
    let (now, ids, id) = (ground.now(), ground.ids.clone(), step.id.clone());
    ground
        .db
        .write("step.overdue", move |conn| {
            Box::pin(async move {
                // Read again: a heartbeat may have come since it was found.
                let Some(step) = store::by_id(conn, &id).await? else {
                    return Ok(false);
                };
                let StepState::Leased(lease) = &step.state else {
                    return Ok(false);
                };
                let cause = if lease.deadline_at < before {
                    Cause::Deadline {
                        which: format!("{} s", step.timeout_ms / 1000),
                    }
                } else if lease.ends_at < before {
                    Cause::WorkerLost
                } else {
                    return Ok(false);
                };
                let ended = end(conn, ids.as_ref(), &step, cause, now).await?;
                Ok::<_, Error>(ended != Ended::Lost)
            })
        })
        .await
}

async fn reported(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let steps = {
        let mut conn = ground.db.reader().await?;
        store::reported(&mut conn, BATCH).await?
    };
    let mut progress = Progress::Idle;
    for step in steps {
        let StepState::Reported { at, fence: _ } = &step.state else {
            continue;
        };
        let settled = settle(ground, hands, &step, *at)
            .instrument(span(&step))
            .await;
        let settled = settled.map(|ended| ended.is_some_and(|ended| ended != Ended::Lost));
        progress = progress.or(noted(
            "a reported step could not be settled",
            step.id.as_str(),
            settled,
        ));
    }
    Ok(progress)
}
