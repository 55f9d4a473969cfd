//! The pass: a run for each trigger that says start, and for each wish to run one again.

use super::gather::{Gathered, Hands, Planned, gather, unreadable};
use super::state::{Error, RunId};
use super::store::{self, Due, NewRun, Outcome};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::{self, Conn};
use crate::ground::Ground;
use crate::id::IdSource;
use crate::identity::Actor;
use crate::metrics::metrics;
use crate::reconcile::{Progress, next_attempt, problem};
use tracing::Instrument as _;

/// Triggers of one pass, and wishes as many; the rest is found by the next one.
const BATCH: i64 = 500;
/// Of these, of one project.
const PROJECT_BATCH: i64 = 50;

/// A mirror that was made anew reads from a forge whose replicas may lag: so often, which is about six
/// minutes, a commit that is not there is looked for again.
const LAG_TRIES: i64 = 4;

/// One pass over all projects at once. `Moved` when a run was made.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, Error> {
    let due = {
        let mut conn = ground.db.reader().await?;
        let now = ground.now();
        let mut due = store::waiting_triggers(&mut conn, now, PROJECT_BATCH, BATCH).await?;
        due.extend(store::waiting_wishes(&mut conn, now, PROJECT_BATCH, BATCH).await?);
        due
    };
    let items = due.into_iter();
    let items = items.map(|due| (due.start.project_id.clone(), due));
    let given = (ground.clone(), hands.clone());
    let tended = hands.lanes.work(items, move |due| {
        let (ground, hands) = given.clone();
        let span = tracing::info_span!("run", trigger.id = due.start.trigger_id);
        async move { tend(&ground, &hands, &due).await }.instrument(span)
    });
    Ok(tended.await)
}

/// One attempt to make a run; after the last one the run says why it could not be made.
async fn tend(ground: &Ground, hands: &Hands, due: &Due) -> Progress {
    let trigger = due.start.trigger_id.as_str();
    let may_come = due.tries < LAG_TRIES;
    let made = match gather(ground, hands, &due.start, may_come).await {
        Ok(gathered) => settle(ground, due, gathered).await,
        Err(error) => Err(error),
    };
    let error = match made {
        Ok(Some(_)) => return Progress::Moved,
        Ok(None) => return Progress::Idle,
        Err(error) => error,
    };
    let (text, failed) = (problem(&error), due.tries + 1);
    tracing::warn!(
        trigger.id = trigger,
        attempt = failed,
        error = text,
        "no run yet"
    );
    let noted = match next_attempt(failed, ground.now()) {
        Some(next) => put_off(ground, due, failed, next, text).await,
        None => give_up(ground, due, &text).await,
    };
    noted.unwrap_or_else(|error| {
        // The database itself is away: the next pass finds it as it is.
        tracing::error!(trigger.id = trigger, error = problem(&error), "not noted");
        Progress::Idle
    })
}

async fn put_off(
    ground: &Ground,
    due: &Due,
    failed: i64,
    next: At,
    problem: String,
) -> Result<Progress, Error> {
    let due = due.clone();
    ground
        .db
        .write("run.put-off", move |conn| {
            Box::pin(async move {
                match &due.wish {
                    Some(wish) => {
                        store::put_off_wish(conn, &wish.id, failed, next, &problem).await?;
                    }
                    None => {
                        let id = &due.start.trigger_id;
                        store::put_off(conn, id, failed, next, &problem).await?;
                    }
                }
                Ok(Progress::Idle)
            })
        })
        .await
}

async fn give_up(ground: &Ground, due: &Due, problem: &str) -> Result<Progress, Error> {
    let gathered = unreadable(ground, &due.start, problem).await?;
    let made = settle(ground, due, gathered).await?;
    Ok(made.map_or(Progress::Idle, |_| Progress::Moved))
}

/// Makes the run: number, row and the consumption of what it was due for in one transaction. None when
/// another pass was faster.
async fn settle(ground: &Ground, due: &Due, gathered: Gathered) -> Result<Option<RunId>, Error> {
    let (now, ids) = (ground.now(), ground.ids.clone());
    let (due, id) = (due.clone(), RunId::new(ground.ids.as_ref()));
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
                let Some(attempt) = consume(conn, &due, now).await? else {
                    return Ok(None);
                };
                let made = Made {
                    id: &id,
                    attempt,
                    now,
                };
                insert(conn, ids.as_ref(), &due, &gathered, plan, made).await?;
                Ok::<_, Error>(Some(id))
            })
        })
        .await
}

/// Takes what a run is due for, once; which attempt it is. None when another pass was faster.
async fn consume(conn: &mut Conn, due: &Due, now: At) -> Result<Option<i64>, db::Error> {
    let trigger = &due.start.trigger_id;
    match &due.wish {
        Some(wish) => {
            let taken = store::consume_wish(conn, &wish.id, now).await?;
            let last = store::last_attempt(conn, trigger).await?;
            Ok(taken.then_some(last + 1))
        }
        None => {
            let taken = store::consume_trigger(conn, trigger, now).await?;
            if taken {
                store::forget_retry(conn, trigger).await?;
            }
            Ok(taken.then_some(1))
        }
    }
}

struct Made<'a> {
    id: &'a RunId,
    attempt: i64,
    now: At,
}

async fn insert(
    conn: &mut Conn,
    ids: &dyn IdSource,
    due: &Due,
    gathered: &Gathered,
    plan: Option<String>,
    made: Made<'_>,
) -> Result<(), db::Error> {
    let (start, wish) = (&due.start, due.wish.as_ref());
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
        wish,
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
    let record = Record::new("run.made", format!("run:{}", made.id), &Actor::System)
        .project(&start.project_id)
        .with("number", number)
        .with("trigger", start.trigger_id.as_str())
        .with("attempt", made.attempt)
        .with("commit", start.commit.as_str())
        .with("state", state);
    let record = match wish {
        // Who wished it stands, by id, in the entry about their asking.
        Some(wish) => record.with("again_of", wish.of.as_str()),
        None => record,
    };
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
