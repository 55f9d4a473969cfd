//! The pass: a run for each trigger that says start.

use super::gather::{Gathered, Hands, Planned, gather};
use super::state::{Error, RunId};
use super::store::{self, NewRun, Outcome, Start};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::{self, Conn};
use crate::ground::Ground;
use crate::id::IdSource;
use crate::identity::Actor;
use crate::metrics::metrics;
use crate::reconcile::Progress;
use tracing::Instrument as _;

/// Triggers of one pass; the rest is found by the next one.
const BATCH: i64 = 50;

/// One pass. `Moved` when a run was made.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let starts = {
        let mut conn = ground.db.reader().await?;
        store::waiting_triggers(&mut conn, BATCH).await?
    };
    let mut progress = Progress::Idle;
    for start in starts {
        let span = tracing::info_span!("run", trigger.id = start.trigger_id);
        let making = async {
            let gathered = gather(ground, hands, &start).await?;
            settle(ground, &start, gathered, None, &Actor::System).await
        };
        let made = making.instrument(span).await;
        match made {
            Ok(Some(_)) => progress = Progress::Moved,
            Ok(None) => {}
            // One bad item does not stop the others; it is tried again by the next pass.
            Err(error) => {
                let error = anyhow::Error::new(error);
                tracing::error!(
                    trigger.id = start.trigger_id,
                    error = format!("{error:#}"),
                    "no run could be made for a trigger"
                );
            }
        }
    }
    Ok(progress)
}

/// Makes the run: number, row and the trigger's consumption in one transaction. None when another
/// pass was faster. `again_of` makes a further attempt of a trigger that is consumed already.
pub(super) async fn settle(
    ground: &Ground,
    start: &Start,
    gathered: Gathered,
    again_of: Option<RunId>,
    actor: &Actor,
) -> Result<Option<RunId>, Error> {
    let (now, ids, actor) = (ground.now(), ground.ids.clone(), actor.clone());
    let (start, id) = (start.clone(), RunId::new(ground.ids.as_ref()));
    let plan = match &gathered.verdict {
        Planned::Good { plan, .. } => {
            let text = serde_json::to_string(plan);
            Some(text.map_err(|source| Error::Plan {
                run: id.to_string(),
                source,
            })?)
        }
        Planned::Invalid(_) | Planned::Refused(_) => None,
    };
    ground
        .db
        .write("run.make", move |conn| {
            Box::pin(async move {
                let attempt = match &again_of {
                    Some(_) => store::last_attempt(conn, &start.trigger_id).await? + 1,
                    None if store::consume_trigger(conn, &start.trigger_id, now).await? => 1,
                    None => return Ok(None),
                };
                let made = Made {
                    id: &id,
                    attempt,
                    again_of: again_of.as_ref(),
                    now,
                };
                insert(conn, ids.as_ref(), &start, &gathered, plan, made, &actor).await?;
                Ok::<_, Error>(Some(id))
            })
        })
        .await
}

struct Made<'a> {
    id: &'a RunId,
    attempt: i64,
    again_of: Option<&'a RunId>,
    now: At,
}

async fn insert(
    conn: &mut Conn,
    ids: &dyn IdSource,
    start: &Start,
    gathered: &Gathered,
    plan: Option<String>,
    made: Made<'_>,
    actor: &Actor,
) -> Result<(), db::Error> {
    let number = store::next_number(conn, &start.project_id).await?;
    let (outcome, source) = match (&gathered.verdict, plan) {
        (
            Planned::Good {
                source,
                source_bytes,
                ..
            },
            Some(plan),
        ) => (Outcome::Waiting { plan }, Some((*source, *source_bytes))),
        (Planned::Invalid(complaints), _) => (
            Outcome::Invalid {
                complaints: rendered(complaints),
            },
            None,
        ),
        (Planned::Refused(why), _) => (Outcome::Refused { why: why.clone() }, None),
        (Planned::Good { .. }, None) => (
            Outcome::Refused {
                why: "its plan could not be written".to_owned(),
            },
            None,
        ),
    };
    let state = outcome.word();
    let new = NewRun {
        id: made.id,
        number,
        attempt: made.attempt,
        again_of: made.again_of,
        start,
        info: &gathered.info,
        settings_version: gathered.settings_version,
        pipeline_path: &gathered.pipeline_path,
        pipeline_digest: gathered.pipeline_digest.as_ref(),
        source,
        outcome,
    };
    store::insert(conn, new, made.now).await?;
    conn.after_commit(told(made.id, &start.trigger_id, number, state));
    let record = Record::new("run.made", format!("run:{}", made.id), actor)
        .project(&start.project_id)
        .with("number", number)
        .with("trigger", start.trigger_id.as_str())
        .with("attempt", made.attempt)
        .with("commit", start.commit.as_str())
        .with("state", state);
    audit::append(conn, made.now, ids, record).await?;
    Ok(())
}

/// What is counted and logged once the run is there; one that is invalid or refused has ended by that.
fn told(
    id: &RunId,
    trigger: &str,
    number: i64,
    state: &'static str,
) -> impl FnOnce() + Send + use<> {
    let (id, trigger) = (id.clone(), trigger.to_owned());
    move || {
        tracing::info!(run.id = %id, trigger.id = trigger, number, state, "a run was made");
        if state != "waiting" {
            metrics().run_ended(state);
        }
    }
}

/// The stored complaints: each with its text for people.
fn rendered(complaints: &[contract::complaint::Complaint]) -> String {
    let list: Vec<serde_json::Value> = complaints
        .iter()
        .map(|complaint| {
            let mut value = serde_json::to_value(complaint).unwrap_or_default();
            if let Some(object) = value.as_object_mut() {
                object.insert("rendered".to_owned(), complaint.render().into());
            }
            value
        })
        .collect();
    serde_json::Value::from(list).to_string()
}
