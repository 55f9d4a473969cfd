//! A lease while it is held: heartbeats, the source, and its end when the worker has restarted.

use super::claim::LEASE;
use super::state::{Error, LeaseKey};
use super::{end, store};
use crate::fleet::{self, WorkerId};
use crate::ground::Ground;
use crate::run::{self, Cause};
use contract::digest::Digest;
use contract::protocol::HeartbeatAnswer;

/// A phase is a few words.
const PHASE_CHARS_MAX: usize = 200;

/// What a heartbeat gets.
#[derive(Debug, Clone)]
pub enum Beat {
    /// The lease goes on.
    Held(HeartbeatAnswer),
    /// The lease has passed on, or the step has ended.
    Lost,
}

/// Extends a lease.
pub async fn heartbeat(ground: &Ground, key: &LeaseKey, phase: &str) -> Result<Beat, Error> {
    let (now, key) = (ground.now(), key.clone());
    let phase: String = phase
        .chars()
        .filter(|c| !c.is_control())
        .take(PHASE_CHARS_MAX)
        .collect();
    let ends_at = now.plus(LEASE);
    // One guarded UPDATE: READ COMMITTED is enough.
    ground
        .db
        .write_guarded("step.heartbeat", move |conn| {
            Box::pin(async move {
                let extended = store::extend(conn, &key, ends_at, &phase).await?;
                let Some((ends_at, cancel)) = extended else {
                    return Ok(Beat::Lost);
                };
                fleet::seen(conn, &key.worker, now).await?;
                let answer = HeartbeatAnswer {
                    lease_ends_at: ends_at.0,
                    cancel,
                };
                Ok::<_, Error>(Beat::Held(answer))
            })
        })
        .await
}

/// The source archive of a leased step: digest and length; none when the lease is lost.
pub async fn source(ground: &Ground, key: &LeaseKey) -> Result<Option<(Digest, u64)>, Error> {
    let mut conn = ground.db.reader().await?;
    let Some(step) = store::held(&mut conn, key).await? else {
        return Ok(None);
    };
    let run = run::by_id(&mut conn, &step.run_id).await?;
    Ok(run.and_then(|run| run.source))
}

/// A worker has started and holds nothing: its open leases end, and the retry policy decides. The
/// caller rings `Bells::step`.
pub async fn restarted(ground: &Ground, worker: &WorkerId) -> Result<usize, Error> {
    let (now, ids, worker) = (ground.now(), ground.ids.clone(), worker.clone());
    ground
        .db
        .write("step.worker-restarted", move |conn| {
            Box::pin(async move {
                let held = store::held_by(conn, &worker).await?;
                for step in &held {
                    let cause = Cause::Infrastructure {
                        what: "worker restarted".to_owned(),
                    };
                    end::end(conn, ids.as_ref(), step, cause, now).await?;
                }
                Ok::<_, Error>(held.len())
            })
        })
        .await
}
