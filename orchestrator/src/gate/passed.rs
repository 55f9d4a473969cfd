//! The one maker of a [`GatePassed`]: judged in the transaction that writes the promotion's intent.

use super::evaluate::evaluate;
use super::evidence_of::gather;
use super::state::{Condition, ConditionKind, ConditionState, GateError, Judgement, Subject};
use super::store;
use crate::approval::{self, Approval};
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use contract::name::Name;
use evidence::decision::{Decision, Outcome, Target, VERSION};
use std::collections::BTreeMap;

/// Proof that the gate let exactly this through, in this transaction.
#[derive(Debug, Clone)]
pub struct GatePassed {
    decision: Decision,
    approvals: Vec<Approval>,
}

impl GatePassed {
    /// The decision as it leaves the server: what permits a release signature.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The approvals that it rests on.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }
}

/// What came of trying.
#[derive(Debug)]
pub enum Pass {
    /// It lets through.
    Passed(Box<GatePassed>),
    /// It does not.
    Closed(Judgement),
}

/// Judges and, when everything holds, writes the decision and uses the approvals up.
pub async fn pass(
    conn: &mut Conn,
    subject: &Subject,
    now: At,
    ids: &dyn IdSource,
) -> Result<Pass, GateError> {
    let evidence = gather(conn, subject).await?;
    let judgement = evaluate(subject, &evidence, now);
    void_what_changed(conn, subject, &evidence.approvals, &judgement, now, ids).await?;
    if !judgement.is_open() {
        return Ok(Pass::Closed(judgement));
    }
    let decision = Decision {
        version: VERSION,
        id: ids.uuid().to_string(),
        project: subject.settings.project.to_string(),
        promotion: subject.promotion_id.clone(),
        environment: subject.environment.name.to_string(),
        release: subject.release.id.to_string(),
        images: targets(subject)?,
        evidence: judgement.evidence,
        settings_version: subject.settings_version,
        outcome: Outcome::Open,
        approvals_required: judgement.approvals_required,
        decided_at: now.0,
    };
    let conditions = serde_json::to_string(&judgement.conditions).unwrap_or_default();
    let row = store::DecisionRow {
        id: &decision.id,
        project_id: &subject.project_id,
        promotion_id: &subject.promotion_id,
        release_id: subject.release.id.as_str(),
        environment: subject.environment.name.as_str(),
        settings_version: subject.settings_version,
        conditions: &conditions,
        evidence_digest: &judgement.evidence.to_string(),
        decision: &serde_json::to_string(&decision).unwrap_or_default(),
        decided_at: now,
    };
    store::insert_open(conn, row).await?;
    for approval in &judgement.counted {
        approval::use_up(conn, approval, now).await?;
    }
    Ok(Pass::Passed(Box::new(GatePassed {
        decision,
        approvals: judgement.counted,
    })))
}

/// What a gate says later of what it had let through.
#[derive(Debug)]
pub enum Since {
    /// It still would.
    Open,
    /// Not now, and by itself again in time: what is waited for.
    Waits(Vec<String>),
    /// It would not: why.
    Closed(Vec<String>),
}

/// Judges once more what it let through, without writing anything. The answers that opened it count as long
/// as they would have opened it now.
///
/// What is met by itself in time, as packages that new advisories let be judged again, closes nothing for
/// good: work that people have approved is not thrown away for an import.
pub async fn closed_since(
    conn: &mut Conn,
    subject: &Subject,
    decision: &Decision,
    now: At,
) -> Result<Since, GateError> {
    let evidence = gather(conn, subject).await?;
    let judgement = evaluate(subject, &evidence, now);
    let unmet = judgement.conditions.iter().filter(|c| !c.is_met());
    let (mut why, mut waits) = (Vec::new(), true);
    for condition in unmet {
        waits &= comes_by_itself(condition);
        why.push(format!(
            "{}: {}, wanted: {}",
            condition.title, condition.value, condition.wanted
        ));
    }
    if targets(subject)? != decision.images {
        waits = false;
        why.push("the settings name other repositories for it now".to_owned());
    }
    Ok(match (why.is_empty(), waits) {
        (true, _) => Since::Open,
        (false, true) => Since::Waits(why),
        (false, false) => Since::Closed(why),
    })
}

/// Whether a condition that was met once is met again without anybody. A release that another has followed
/// in the environment before does not come back there, and would keep its own busy for ever.
fn comes_by_itself(condition: &Condition) -> bool {
    condition.state == ConditionState::Waiting && condition.kind != ConditionKind::After
}

/// Each image and the environment's own repository for it.
pub fn targets(subject: &Subject) -> Result<BTreeMap<Name, Target>, GateError> {
    let mut targets = BTreeMap::new();
    for (name, image) in &subject.release.images {
        let repository =
            subject
                .environment
                .repository
                .join(name)
                .map_err(|_| GateError::Missing {
                    what: "a repository for an image",
                    promotion_id: subject.promotion_id.clone(),
                })?;
        targets.insert(
            name.clone(),
            Target {
                repository,
                digest: image.digest,
            },
        );
    }
    Ok(targets)
}

/// An approval of something that has changed since says nothing any more, and is shown as void, so
/// that the person can look again.
async fn void_what_changed(
    conn: &mut Conn,
    subject: &Subject,
    standing: &[Approval],
    judgement: &Judgement,
    now: At,
    ids: &dyn IdSource,
) -> Result<(), GateError> {
    for approval in standing {
        let statement = &approval.statement;
        if statement.answer != evidence::approval::Answer::Approve {
            continue;
        }
        let reason = if now.0 >= statement.expires_at {
            "it has expired"
        } else if statement.settings_version != subject.settings_version {
            "the settings have changed"
        } else if statement.evidence != judgement.evidence {
            "the evidence has changed"
        } else {
            continue;
        };
        approval::void(conn, now, ids, &subject.project_id, approval, reason).await?;
    }
    Ok(())
}
