//! Ends the work on a step: for good, or to try it once more.

use super::advance::advance;
use super::state::{Error, Step};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::metrics::metrics;
use crate::run::{Cause, PlannedStep};
use std::time::Duration;

/// Pauses before the second, third and fourth try (DECISIONS 18).
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(25),
];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It will be tried once more.
    Again,
    /// It has ended for good.
    Over,
    /// Somebody else was faster.
    Lost,
}

/// Ends the step's work under its last fence. What was not the step's fault is tried again, unless
/// it has effects outside, its run's end was asked for, or it was tried often enough.
pub(super) async fn end(
    conn: &mut Conn,
    ids: &dyn IdSource,
    step: &Step,
    cause: Cause,
    now: At,
) -> Result<Ended, Error> {
    if let Some(pause) = pause(step, &cause)
        && crate::run::cancel_asked(conn, &step.run_id)
            .await?
            .is_none()
    {
        let again = store::retry(conn, &step.id, step.fence, &cause, now.plus(pause), now).await?;
        if !again {
            return Ok(Ended::Lost);
        }
        conn.after_commit(told(step, &cause, now, true));
        return Ok(Ended::Again);
    }
    if !store::finish(conn, &step.id, step.fence, &cause, now).await? {
        return Ok(Ended::Lost);
    }
    conn.after_commit(told(step, &cause, now, false));
    advance(conn, ids, &step.run_id, now).await?;
    Ok(Ended::Over)
}

/// What is counted and logged once the end stands.
fn told(step: &Step, cause: &Cause, now: At, again: bool) -> impl FnOnce() + Send + use<> {
    let worked = step.leased_at.map_or(Duration::ZERO, |at| now.since(at));
    let expired = matches!(cause, Cause::WorkerLost | Cause::Deadline { .. });
    let (run, id) = (step.run_id.clone(), step.id.clone());
    let (kind, cause) = (step.kind.clone(), cause.word());
    move || {
        metrics().lease_ended(&kind, worked, expired);
        tracing::info!(run.id = %run, step.id = %id, cause, again, "a step has ended");
    }
}

/// How long to wait before the next try; none when there is none.
fn pause(step: &Step, cause: &Cause) -> Option<Duration> {
    if !cause.is_retried() {
        return None;
    }
    // A plan that cannot be read might be of a step with effects outside.
    let effects = serde_json::from_str::<PlannedStep>(&step.work)
        .map_or(true, |planned| planned.effects_outside);
    if effects {
        return None;
    }
    let tries = usize::try_from(step.attempts).unwrap_or(usize::MAX);
    RETRY_PAUSES.get(tries.saturating_sub(1)).copied()
}
