//! The pass: a run for each trigger that says start.

use super::gather::{Gathered, Hands, Planned, gather, unreadable};
use super::state::{Error, RunId};
use super::store::{self, NewRun, Outcome, Start};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::{self, Conn};
use crate::ground::Ground;
use crate::id::IdSource;
use crate::identity::Actor;
use crate::metrics::metrics;
use crate::reconcile::{Progress, next_attempt, problem};
use tracing::Instrument as _;

/// Triggers of one pass; the rest is found by the next one.
const BATCH: i64 = 500;
/// Of these, of one project.
const PROJECT_BATCH: i64 = 50;

/// One pass over all projects at once. `Moved` when a run was made.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let starts = {
        let mut conn = ground.db.reader().await?;
        store::waiting_triggers(&mut conn, ground.now(), PROJECT_BATCH, BATCH).await?
    };
    let starts = starts.into_iter();
    let items = starts.map(|(start, tries)| (start.project_id.clone(), (start, tries)));
    let given = (ground.clone(), hands.clone());
    let tended = hands.lanes.work(items, move |(start, tries)| {
        let (ground, hands) = given.clone();
        let span = tracing::info_span!("run", trigger.id = start.trigger_id);
        async move { tend(&ground, &hands, &start, tries).await }.instrument(span)
    });
    Ok(tended.await)
}

/// One attempt to make a run; after the last one the run says why it could not be made.
async fn tend(ground: &Ground, hands: &Hands, start: &Start, tries: i64) -> Progress {
    let made = match gather(ground, hands, start).await {
        Ok(gathered) => settle(ground, start, gathered, None, &Actor::System).await,
        Err(error) => Err(error),
    };
    let error = match made {
        Ok(Some(_)) => return Progress::Moved,
        Ok(None) => return Progress::Idle,
        Err(error) => error,
    };
    let (text, failed) = (problem(&error), tries + 1);
    tracing::warn!(
        trigger.id = start.trigger_id,
        attempt = failed,
        error = text,
        "no run yet"
    );
    let noted = match next_attempt(failed, ground.now()) {
        Some(next) => put_off(ground, start, failed, next, text).await,
        None => give_up(ground, start, &text).await,
    };
    noted.unwrap_or_else(|error| {
        // The database itself is away: the next pass finds the trigger as it is.
        tracing::error!(
            trigger.id = start.trigger_id,
            error = problem(&error),
            "not noted"
        );
        Progress::Idle
    })
}

async fn put_off(
    ground: &Ground,
    start: &Start,
    failed: i64,
    next: At,
    problem: String,
) -> Result<Progress, Error> {
    let id = start.trigger_id.clone();
    ground
        .db
        .write("run.put-off", move |conn| {
            Box::pin(async move {
                store::put_off(conn, &id, failed, next, &problem).await?;
                Ok(Progress::Idle)
            })
        })
        .await
}

async fn give_up(ground: &Ground, start: &Start, problem: &str) -> Result<Progress, Error> {
    let gathered = unreadable(ground, start, problem).await?;
    let made = settle(ground, start, gathered, None, &Actor::System).await?;
    Ok(made.map_or(Progress::Idle, |_| Progress::Moved))
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
                    None if store::consume_trigger(conn, &start.trigger_id, now).await? => {
                        store::forget_retry(conn, &start.trigger_id).await?;
                        1
                    }
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
                warnings,
                ..
            },
            Some(plan),
        ) => {
            let warnings = (!warnings.is_empty()).then(|| rendered(warnings));
            (
                Outcome::Waiting { plan, warnings },
                Some((*source, *source_bytes)),
            )
        }
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
