//! A person ends a run: the wish is stored here; `step` finds it and ends the steps.

use super::state::{Error, RunId};
use super::store;
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::identity::Actor;

/// What came of the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It will end.
    Asked,
    /// Somebody had asked already.
    AskedBefore,
    /// It had ended by itself.
    Over,
    /// There is no such run.
    NoSuchRun,
}

/// Asks for a run's end; the caller rings `Bells::step`.
pub async fn cancel(ground: &Ground, run: &RunId, actor: &Actor) -> Result<Cancelled, Error> {
    let (now, ids, run, actor) = (ground.now(), ground.ids.clone(), run.clone(), actor.clone());
    ground
        .db
        .write("run.cancel", move |conn| {
            Box::pin(async move {
                let Some(found) = store::by_id(conn, &run).await? else {
                    return Ok(Cancelled::NoSuchRun);
                };
                if found.cancel.is_some() {
                    return Ok(Cancelled::AskedBefore);
                }
                if !store::ask_cancel(conn, &run, &actor.to_string(), now).await? {
                    return Ok(Cancelled::Over);
                }
                let record = Record::new("run.cancel-asked", format!("run:{run}"), &actor)
                    .project(found.project_id)
                    .with("number", found.number);
                audit::append(conn, now, ids.as_ref(), record).await?;
                Ok::<_, Error>(Cancelled::Asked)
            })
        })
        .await
}
