//! The pass: understands each delivery, looks at the repository, decides, and marks it consumed in the
//! transaction that holds the decisions.

use super::evaluate::evaluate;
use super::gather;
use super::state::{Decision, Hands, SkipReason, TriggerError, TriggerId};
use super::store::{self, NewTrigger, Waiting};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::delivery::{self, Provider, Push, RefChange, Understood, understand};
use crate::ground::Ground;
use crate::identity::Actor;
use crate::metrics::metrics;
use crate::project::{self, SettingsVersion};
use crate::reconcile::Progress;
use std::time::Duration;
use tracing::Instrument as _;

/// Deliveries of one pass.
const BATCH: i64 = 50;
/// A repository that cannot be reached for so long is given up for this delivery, visibly.
const SOURCE_PATIENCE: Duration = Duration::from_secs(3_600);

/// Decides about what waits.
pub async fn pass(ground: &Ground, hands: &Hands) -> Result<Progress, TriggerError> {
    let waiting = store::waiting(&mut ground.db.reader().await?, BATCH).await?;
    let mut progress = Progress::Idle;
    for one in waiting {
        let span = tracing::info_span!("trigger", delivery.id = one.id);
        match decide(ground, hands, &one).instrument(span).await {
            Ok(done) => progress = progress.or(done),
            Err(error) => {
                tracing::warn!(
                    delivery.id = one.id,
                    error = chain(&error),
                    "not decided yet"
                );
            }
        }
    }
    Ok(progress)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// One decision, ready to be written.
#[derive(Debug, Clone)]
struct Decided {
    change: RefChange,
    decision: Decision,
}

async fn decide(ground: &Ground, hands: &Hands, one: &Waiting) -> Result<Progress, TriggerError> {
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
            (
                push_decisions(ground, hands, one, &settings, push).await?,
                sender,
            )
        }
        Understood::Push(push) => {
            let detail =
                "this body was seen before under another id; \"run anyway\" is not built yet";
            let sender = push.sender.clone();
            let skip = |change| Decided {
                change,
                decision: skip(SkipReason::Replayed, detail),
            };
            (push.refs.into_iter().map(skip).collect(), sender)
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

async fn push_decisions(
    ground: &Ground,
    hands: &Hands,
    one: &Waiting,
    settings: &SettingsVersion,
    push: Push,
) -> Result<Vec<Decided>, TriggerError> {
    let mut decided = Vec::with_capacity(push.refs.len());
    for change in push.refs {
        let facts = gather::facts(hands, &one.project_id, &settings.settings, &change).await;
        let decision = match facts {
            Ok(facts) => evaluate(&facts),
            Err(source) if ground.now().since(At(one.received_at)) < SOURCE_PATIENCE => {
                return Err(TriggerError::Source {
                    delivery_id: one.id.clone(),
                    source,
                });
            }
            Err(source) => skip(SkipReason::SourceUnreachable, &chain(&source)),
        };
        decided.push(Decided { change, decision });
    }
    Ok(decided)
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
