//! Leases a ready step to a worker that asks.

use super::job::{self, Readied};
use super::state::{Error, Hands, Step};
use super::{end, store};
use crate::clock::At;
use crate::db::Conn;
use crate::fleet::{self, Standing, Worker};
use crate::ground::Ground;
use crate::metrics::metrics;
use crate::run;
use contract::protocol::{CLAIM_WAIT_MS_MAX, Job};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A lease lasts so long without a heartbeat: three are missed before a worker counts as lost.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How often a worker asks for an extension.
pub(super) const HEARTBEAT_MS: u64 = 10_000;
/// The worker counts its own deadline and reports it; only one that does not is cut off.
pub(super) const DEADLINE_GRACE: Duration = Duration::from_secs(30);
/// Claims look again at least this often: a pause before a retry ends without a bell, and another
/// orchestrator's bell is not heard here.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a claim gets.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// A step.
    Leased(Box<Job>),
    /// Nothing is ready, or the worker has its hands full, or it is to get nothing new.
    Nothing,
    /// The worker has not said what it is since it was let in.
    NoHello,
}

/// Claims, and when nothing is there waits until something is or `wait` (bounded) is over.
pub async fn wait(
    ground: &Ground,
    hands: &Hands,
    worker: &Worker,
    wait: Duration,
    stop: &CancellationToken,
) -> Result<Claimed, Error> {
    let wait = wait.min(Duration::from_millis(CLAIM_WAIT_MS_MAX));
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    let mut first = true;
    loop {
        let struck = hands.claims.listen();
        // While nothing is ready, waiting costs a read: a write would be an fsync a second and worker.
        if first || anything_ready(ground).await? {
            match claim(ground, hands, worker).await? {
                Claimed::Nothing => {}
                claimed @ (Claimed::Leased(_) | Claimed::NoHello) => return Ok(claimed),
            }
        }
        first = false;
        tokio::select! {
            () = struck => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = &mut over => return Ok(Claimed::Nothing),
            () = stop.cancelled() => return Ok(Claimed::Nothing),
        }
    }
}

async fn anything_ready(ground: &Ground) -> Result<bool, Error> {
    let mut conn = ground.db.reader().await?;
    Ok(store::any_ready(&mut conn, ground.now()).await?)
}

/// Claims once.
pub async fn claim(ground: &Ground, hands: &Hands, worker: &Worker) -> Result<Claimed, Error> {
    let (now, ground_, hands, worker) =
        (ground.now(), ground.clone(), hands.clone(), worker.clone());
    // Correct under READ COMMITTED: the lease is one guarded UPDATE, and what it counts is counted
    // under the locks of the worker's and the project's row.
    ground
        .db
        .write_guarded("step.claim", move |conn| {
            Box::pin(async move { in_transaction(conn, &ground_, &hands, &worker, now).await })
        })
        .await
}

async fn in_transaction(
    conn: &mut Conn,
    ground: &Ground,
    hands: &Hands,
    worker: &Worker,
    now: At,
) -> Result<Claimed, Error> {
    fleet::seen(conn, &worker.id, now).await?;
    // Read again: it may have been drained or revoked while it waited.
    let Some(worker) = fleet::by_id(conn, &worker.id).await? else {
        return Ok(Claimed::Nothing);
    };
    let Some(capability) = &worker.capability else {
        return Ok(Claimed::NoHello);
    };
    if worker.standing != Standing::Active
        || store::leased_by(conn, &worker.id).await? >= i64::from(capability.slots)
    {
        return Ok(Claimed::Nothing);
    }
    let Some(id) = store::next_ready(conn, now).await? else {
        return Ok(Claimed::Nothing);
    };
    let Some(step) = store::by_id(conn, &id).await? else {
        return Ok(Claimed::Nothing);
    };
    if !store::has_place(conn, &step).await? {
        return Ok(Claimed::Nothing);
    }
    lease(conn, ground, hands, &worker, step, now).await
}

async fn lease(
    conn: &mut Conn,
    ground: &Ground,
    hands: &Hands,
    worker: &Worker,
    step: Step,
    now: At,
) -> Result<Claimed, Error> {
    let timeout = Duration::from_millis(u64::try_from(step.timeout_ms).unwrap_or(0));
    let (ends_at, deadline_at) = (now.plus(LEASE), now.plus(timeout).plus(DEADLINE_GRACE));
    let leased = store::lease(conn, &step.id, &worker.id, ends_at, deadline_at, now).await?;
    let Some(fence) = leased else {
        return Ok(Claimed::Nothing);
    };
    run::started(conn, &step.run_id, now).await?;
    let step = Step {
        fence,
        attempts: step.attempts + 1,
        ..step
    };
    match job::ready(conn, hands, worker, &step, ends_at).await? {
        Readied::Job(job) => {
            let waited = step.ready_at.map_or(Duration::ZERO, |at| now.since(at));
            let (run, id, worker) = (step.run_id.clone(), step.id.clone(), worker.name.clone());
            conn.after_commit(move || {
                metrics().step_leased(waited);
                tracing::info!(run.id = %run, step.id = %id, %worker, fence, "a step was leased");
            });
            Ok(Claimed::Leased(job))
        }
        Readied::Cannot(cause) => {
            end::end(conn, ground.ids.as_ref(), &step, cause, now).await?;
            Ok(Claimed::Nothing)
        }
    }
}
