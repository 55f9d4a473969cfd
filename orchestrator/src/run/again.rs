//! A person wants a run again: a new run, a further attempt, a fresh plan from the same commit and the
//! settings of then (DECISIONS 21). The wish is stored here, with whose it is; the pass makes the run, for
//! it may have to ask the repository.

use super::state::{Error, RunId, RunState};
use super::store;
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::identity::Actor;

/// What came of the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It will be made.
    Asked,
    /// Somebody had asked already, and it is not made yet.
    AskedBefore,
    /// It has not ended yet: cancel it first.
    StillOpen,
    /// There is no such run.
    NoSuchRun,
}

/// Asks for a run again; the caller rings `Bells::run`.
pub async fn again(ground: &Ground, run: &RunId, actor: &Actor) -> Result<Again, Error> {
    let (now, ids, run, actor) = (ground.now(), ground.ids.clone(), run.clone(), actor.clone());
    ground
        .db
        .write("run.again", move |conn| {
            Box::pin(async move {
                let Some(found) = store::by_id(conn, &run).await? else {
                    return Ok(Again::NoSuchRun);
                };
                match found.state {
                    RunState::Waiting | RunState::Running { .. } => return Ok(Again::StillOpen),
                    RunState::Finished { .. }
                    | RunState::Invalid { .. }
                    | RunState::Refused { .. } => {}
                }
                let id = ids.uuid().to_string();
                if !store::wish(conn, &id, &run, &actor, now).await? {
                    return Ok(Again::AskedBefore);
                }
                let record = Record::new("run.again-asked", format!("run:{run}"), &actor)
                    .project(found.project_id)
                    .with("number", found.number);
                audit::append(conn, now, ids.as_ref(), record).await?;
                Ok::<_, Error>(Again::Asked)
            })
        })
        .await
}
