//! What comes of a step's end for the others of its run: ready, skipped, or the run's end.

use super::prove;
use super::state::{Error, Step, StepState};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::run::{self, Cause, RunId, StepEnd};
use std::collections::BTreeMap;

/// What is to become of a blocked step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Ready,
    Skip(Cause),
    Wait,
}

/// Makes ready what waits for nothing more, skips what waits in vain, and ends the run when nothing
/// is open. In the transaction that ended the step.
pub(super) async fn advance(
    conn: &mut Conn,
    ids: &dyn IdSource,
    run: &RunId,
    now: At,
) -> Result<(), Error> {
    let needs = store::needs(conn, run).await?;
    loop {
        let steps = store::list(conn, run).await?;
        let by_id: BTreeMap<&str, &Step> = steps.iter().map(|s| (s.id.as_str(), s)).collect();
        let mut moved = false;
        for step in steps.iter().filter(|step| step.state == StepState::Blocked) {
            let needed = needs
                .iter()
                .filter(|(id, _)| id == step.id.as_str())
                .filter_map(|(_, needed)| by_id.get(needed.as_str()).copied());
            match fate(needed) {
                Fate::Ready => store::unblock(conn, &step.id, now).await?,
                Fate::Skip(cause) => {
                    store::skip(conn, &step.id, &cause, now).await?;
                    // What waits for this one waits in vain as well.
                    moved = true;
                }
                Fate::Wait => {}
            }
        }
        if !moved {
            break;
        }
    }
    finish_run(conn, ids, run, now).await
}

fn fate<'a>(needed: impl Iterator<Item = &'a Step>) -> Fate {
    let mut fate = Fate::Ready;
    for step in needed {
        match &step.state {
            StepState::Finished {
                cause: Cause::Passed,
                ..
            } => {}
            StepState::Finished { .. } | StepState::Skipped { .. } => {
                return Fate::Skip(Cause::Needed {
                    step: step.name.to_string(),
                });
            }
            StepState::Blocked
            | StepState::Ready { .. }
            | StepState::Leased(_)
            | StepState::Reported { .. } => fate = Fate::Wait,
        }
    }
    fate
}

async fn finish_run(
    conn: &mut Conn,
    ids: &dyn IdSource,
    run: &RunId,
    now: At,
) -> Result<(), Error> {
    let mut ends = Vec::new();
    for step in store::list(conn, run).await? {
        let cause = match &step.state {
            StepState::Finished { cause, .. } | StepState::Skipped { cause, .. } => cause.clone(),
            StepState::Blocked
            | StepState::Ready { .. }
            | StepState::Leased(_)
            | StepState::Reported { .. } => return Ok(()),
        };
        let proof = match cause {
            Cause::Passed => prove::proof(conn, &step.id, step.fence).await?.ok(),
            Cause::Failed { .. }
            | Cause::WorkerLost
            | Cause::Deadline { .. }
            | Cause::Cancelled { .. }
            | Cause::Superseded { .. }
            | Cause::Refused { .. }
            | Cause::Incomplete { .. }
            | Cause::Infrastructure { .. }
            | Cause::Needed { .. } => None,
        };
        ends.push(StepEnd {
            name: step.name.to_string(),
            cause,
            proof,
        });
    }
    run::finish(conn, ids, run, ends, now).await?;
    Ok(())
}
