//! A person runs a trigger again: a new run, a further attempt, a fresh plan from the same commit and
//! the settings of now (DECISIONS 21).

use super::gather::{Hands, gather};
use super::reconcile::settle;
use super::state::{Error, RunId, RunState};
use super::store;
use crate::ground::Ground;
use crate::identity::Actor;

/// What came of the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// The new run.
    Made(RunId),
    /// It has not ended yet: cancel it first.
    StillOpen,
    /// There is no such run.
    NoSuchRun,
}

/// Runs again; the caller rings `Bells::step`.
pub async fn again(
    ground: &Ground,
    hands: &Hands,
    run: &RunId,
    actor: &Actor,
) -> Result<Again, Error> {
    let start = {
        let mut conn = ground.db.reader().await?;
        let Some(found) = store::by_id(&mut conn, run).await? else {
            return Ok(Again::NoSuchRun);
        };
        match found.state {
            RunState::Waiting | RunState::Running { .. } => return Ok(Again::StillOpen),
            RunState::Finished { .. } | RunState::Invalid { .. } | RunState::Refused { .. } => {}
        }
        store::start_of(&mut conn, &found.trigger_id).await?
    };
    let Some(start) = start else {
        return Ok(Again::NoSuchRun);
    };
    let gathered = gather(ground, hands, &start).await?;
    let made = settle(ground, &start, gathered, Some(run.clone()), actor).await?;
    Ok(made.map_or(Again::StillOpen, Again::Made))
}
