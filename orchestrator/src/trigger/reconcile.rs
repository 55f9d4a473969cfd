//! The pass: understands each delivery, looks at the repository, decides, and marks it consumed in the
//! transaction that holds the decisions.

use super::evaluate::evaluate;
use super::gather::{self, Look, LookError};
use super::state::{Decision, Hands, SkipReason, TriggerError, TriggerId};
use super::store::{self, NewTrigger, Waiting};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::delivery::{self, Provider, Push, RefChange, Understood, understand};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::metrics::metrics;
use crate::project::{self, SettingsVersion};
use crate::reconcile::{Progress, next_attempt, problem};
use std::time::Duration;
use tracing::Instrument as _;

/// Deliveries of one pass.
const BATCH: i64 = 500;
/// Of these, of one project: the others' wait is no longer for it.
const PROJECT_BATCH: i64 = 50;

/// Replicas of a forge follow one another within seconds, and within minutes when something is wrong; for so
/// long after its delivery a commit that is not there may be still to come.
const LAG_MAX: Duration = Duration::from_secs(600);

/// Decides about what waits, of all projects at once.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, TriggerError> {
    let now = ground.now();
    let waiting = store::waiting(&mut ground.db.reader().await?, now, PROJECT_BATCH, BATCH).await?;
    let items = waiting.into_iter().map(|one| (one.project_id.clone(), one));
    let given = (ground.clone(), hands.clone());
    let tended = hands.lanes.work(items, move |one| {
        let (ground, hands) = given.clone();
        let span = tracing::info_span!("trigger", delivery.id = one.id);
        async move { tend(&ground, &hands, &one).await }.instrument(span)
    });
    Ok(tended.await)
}

/// One attempt at one delivery: decided, put off, or given up where a last attempt fails, too.
async fn tend(ground: &Ground, hands: &Hands, one: &Waiting) -> Progress {
    let failed = one.tries + 1;
    let is_last = next_attempt(failed, ground.now()).is_none();
    let error = match decide(ground, hands, one, is_last).await {
        Ok(progress) => return progress,
        Err(error) => error,
    };
    let text = problem(&error);
    tracing::warn!(
        delivery.id = one.id,
        attempt = failed,
        error = text,
        "not decided yet"
    );
    let noted = match next_attempt(failed, ground.now()) {
        Some(next) => put_off(ground, one, failed, next, text).await,
        None => give_up(ground, one, &text).await,
    };
    noted.unwrap_or_else(|error| {
        // The database itself is away: the next pass finds the delivery as it is.
        tracing::error!(delivery.id = one.id, error = problem(&error), "not noted");
        Progress::Idle
    })
}

async fn put_off(
    ground: &Ground,
    one: &Waiting,
    failed: i64,
    next: At,
    problem: String,
) -> Result<Progress, TriggerError> {
    let id = one.id.clone();
    ground
        .db
        .write("trigger.put-off", move |conn| {
            Box::pin(async move {
                store::put_off(conn, &id, failed, next, &problem).await?;
                Ok(Progress::Idle)
            })
        })
        .await
}

/// Settings, a provider or a body that is not there any more: the delivery ends, and says so.
async fn give_up(ground: &Ground, one: &Waiting, problem: &str) -> Result<Progress, TriggerError> {
    let decided = whole(SkipReason::Undecidable, problem);
    settle(ground, one, NO_SETTINGS, decided, None).await
}

/// Settings are counted from 1: nothing was decided by any.
const NO_SETTINGS: i64 = 0;

/// One decision, ready to be written.
#[derive(Debug, Clone)]
struct Decided {
    change: RefChange,
    decision: Decision,
}

impl Decided {
    /// Whether the commit that it tells of is not in the repository.
    fn is_missing(&self) -> bool {
        let reason = match self.decision {
            Decision::Start { .. } => None,
            Decision::Skip { reason, .. } => Some(reason),
        };
        reason == Some(SkipReason::CommitNotFound)
    }
}

async fn decide(
    ground: &Ground,
    hands: &Hands,
    one: &Waiting,
    is_last: bool,
) -> Result<Progress, TriggerError> {
    let missing = |what| TriggerError::Missing {
        what,
        delivery_id: one.id.clone(),
    };
    let settings =
        project::current_settings(&mut ground.db.reader().await?, &one.project_id).await?;
    let settings = settings.ok_or_else(|| missing("the project's settings"))?;
    let provider = Provider::parse(&one.provider).ok_or_else(|| missing("the provider"))?;
    let body = gather::body(ground, hands, &one.id).await?;
    let (decided, sender) = match understand(provider, &one.event, &body) {
        Understood::Push(push) if one.replays_id.is_none() => {
            let sender = push.sender.clone();
            let decided = match push.other_than(&settings.settings.git) {
                Some(detail) => all(push, SkipReason::OtherRepository, &detail),
                None => {
                    let last = Last {
                        attempt: is_last,
                        wait: ground.now().since(At(one.received_at)) >= LAG_MAX,
                    };
                    push_decisions(ground, hands, one, &settings, push, last).await?
                }
            };
            (decided, sender)
        }
        Understood::Push(push) => {
            let detail =
                "this body was seen before under another id; \"run anyway\" is not built yet";
            let sender = push.sender.clone();
            (all(push, SkipReason::Replayed, detail), sender)
        }
        Understood::PullRequest => (
            whole(
                SkipReason::NotYet,
                "pull requests start nothing until trust is built",
            ),
            None,
        ),
        Understood::Other => (whole(SkipReason::NotAPush, "this event is no push"), None),
        Understood::Broken { problem } => (whole(SkipReason::NotUnderstood, &problem), None),
    };
    settle(ground, one, settings.version, decided, sender).await
}

fn skip(reason: SkipReason, detail: &str) -> Decision {
    Decision::Skip {
        reason,
        detail: detail.to_owned(),
    }
}

/// The same decision about each ref of a push.
fn all(push: Push, reason: SkipReason, detail: &str) -> Vec<Decided> {
    let refs = push.refs.into_iter();
    let decided = refs.map(|change| Decided {
        change,
        decision: skip(reason, detail),
    });
    decided.collect()
}

/// A decision about a delivery that tells no ref.
fn whole(reason: SkipReason, detail: &str) -> Vec<Decided> {
    let change = RefChange {
        ref_name: String::new(),
        before: None,
        after: None,
    };
    vec![Decided {
        change,
        decision: skip(reason, detail),
    }]
}

/// What is not tried again.
#[derive(Debug, Clone, Copy)]
struct Last {
    /// Nothing is: it is the last attempt.
    attempt: bool,
    /// A commit that is not there: it was waited for long enough.
    wait: bool,
}

async fn push_decisions(
    ground: &Ground,
    hands: &Hands,
    one: &Waiting,
    settings: &SettingsVersion,
    push: Push,
    last: Last,
) -> Result<Vec<Decided>, TriggerError> {
    let mut look = Look::new(ground, hands, &one.project_id, &settings.settings);
    let mut decided = Vec::with_capacity(push.refs.len());
    for mut change in push.refs {
        let decision = match look.facts(&mut change).await {
            Ok(facts) => evaluate(&facts),
            Err(LookError::Db(error)) => return Err(error.into()),
            Err(LookError::Source(source)) if last.attempt => {
                skip(SkipReason::SourceUnreachable, &problem(&source))
            }
            Err(LookError::Source(source)) => {
                return Err(TriggerError::Source {
                    delivery_id: one.id.clone(),
                    source,
                });
            }
        };
        decided.push(Decided { change, decision });
    }
    let missing = decided.iter().find(|decided| decided.is_missing());
    match missing {
        Some(missing) if !last.attempt && !last.wait => Err(TriggerError::NotThereYet {
            ref_name: missing.change.ref_name.clone(),
            commit: missing
                .change
                .after
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }),
        Some(_) | None => Ok(decided),
    }
}

async fn settle(
    ground: &Ground,
    one: &Waiting,
    settings_version: i64,
    decided: Vec<Decided>,
    sender: Option<String>,
) -> Result<Progress, TriggerError> {
    let (ground_in, one) = (ground.clone(), one.clone());
    ground
        .db
        .write("trigger.settle", move |conn| {
            Box::pin(async move {
                let (at, ids) = (ground_in.now(), &*ground_in.ids);
                let first = decided.first().map(|d| &d.change);
                let ref_name = first
                    .map(|c| c.ref_name.as_str())
                    .filter(|name| !name.is_empty());
                let commit = first.and_then(|c| c.after.as_ref()).map(|c| c.as_str());
                if !delivery::consume(conn, &one.id, ref_name, commit, sender.as_deref(), at)
                    .await?
                {
                    return Ok(Progress::Idle);
                }
                store::forget_retry(conn, &one.id).await?;
                for Decided { change, decision } in &decided {
                    let id = TriggerId::new(ids);
                    let new = NewTrigger {
                        id: &id,
                        delivery_id: &one.id,
                        project_id: &one.project_id,
                        ref_name: &change.ref_name,
                        commit: change.after.as_ref().map(|c| c.as_str()),
                        before: change.before.as_ref().map(|c| c.as_str()),
                        decision,
                        settings_version,
                        at,
                    };
                    if store::insert(conn, new).await? {
                        conn.after_commit(told(&id, &one.id, decision));
                        let record = record(&id, &one, change, decision);
                        audit::append(conn, at, ids, record).await?;
                    }
                }
                Ok(Progress::Moved)
            })
        })
        .await
}

/// What is counted and logged once the decision stands.
fn told(id: &TriggerId, delivery: &str, decision: &Decision) -> impl FnOnce() + Send + use<> {
    let (id, delivery, word) = (id.clone(), delivery.to_owned(), decision.word());
    move || {
        metrics().trigger_decided(word);
        tracing::info!(delivery.id = delivery, trigger.id = %id, decision = word, "a trigger was decided");
    }
}

fn record(id: &TriggerId, one: &Waiting, change: &RefChange, decision: &Decision) -> Record {
    let reason = match decision {
        Decision::Start { .. } => "push",
        Decision::Skip { reason, .. } => reason.as_str(),
    };
    Record::new("trigger.decided", format!("trigger:{id}"), &Actor::System)
        .project(&one.project_id)
        .with("delivery", one.id.as_str())
        .with("ref", change.ref_name.as_str())
        .with(
            "commit",
            change.after.as_ref().map(|c| c.as_str().to_owned()),
        )
        .with("decision", decision.word())
        .with("reason", reason)
}
