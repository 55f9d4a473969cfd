//! What the signer signs and what it refuses: decisions over values, no I/O, no clock.

use super::protocol::{Grounds, Refusal, RefusalCode};
use contract::digest::Digest;
use evidence::approval::{Answer, Approval};
use evidence::cosign::Payload;
use evidence::decision::{Decision, Outcome, Target};
use evidence::{decision, names, statement};
use std::collections::BTreeSet;

/// The predicate types that the provenance key signs.
const PREDICATE_TYPES: [&str; 2] = [names::SLSA_PROVENANCE, names::CYCLONEDX];

/// What is about to be signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) subject: Digest,
    pub(super) about: String,
    /// The image's name in a statement.
    pub(super) name: Option<String>,
}

pub(super) fn refuse(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// An in-toto statement of a known type about exactly the image whose manifest came along.
pub(super) fn statement(bytes: &[u8], manifest: &[u8]) -> Result<Granted, Refusal> {
    let heading =
        statement::read(bytes).map_err(|e| refuse(RefusalCode::OtherType, e.to_string()))?;
    if !PREDICATE_TYPES.contains(&heading.predicate_type.as_str()) {
        let kind: String = heading.predicate_type.chars().take(100).collect();
        return Err(refuse(
            RefusalCode::OtherType,
            format!("the provenance key does not sign statements of type `{kind}`"),
        ));
    }
    let subject = Digest::of(manifest);
    if heading.subject_count != 1 || heading.subjects != [subject] {
        return Err(refuse(
            RefusalCode::OtherSubject,
            format!("the statement is not about the one manifest that came along ({subject})"),
        ));
    }
    Ok(Granted {
        subject,
        about: heading.predicate_type,
        name: heading.names.into_iter().next(),
    })
}

/// A cosign payload for exactly the image whose manifest came along, under a reference that the
/// grounds permit for it. `built_as` are the names that it has in provenance which was signed here
/// before: a run permits no other reference, or it would need no gate to name an environment.
pub(super) fn image(
    bytes: &[u8],
    manifest: &[u8],
    grounds: &Grounds,
    built_as: Option<&BTreeSet<String>>,
) -> Result<Granted, Refusal> {
    let payload =
        Payload::read(bytes).map_err(|e| refuse(RefusalCode::OtherType, e.to_string()))?;
    if payload.to_bytes() != bytes {
        return Err(refuse(
            RefusalCode::OtherType,
            "the payload says more than image and reference",
        ));
    }
    let subject = Digest::of(manifest);
    if payload.digest != subject {
        return Err(refuse(
            RefusalCode::OtherSubject,
            format!("the payload is not about the manifest that came along ({subject})"),
        ));
    }
    match grounds {
        Grounds::Run(run) => {
            if run.cause != "passed" {
                let cause: String = run.cause.chars().take(100).collect();
                return Err(refuse(
                    RefusalCode::NotPassed,
                    format!("the run ended `{cause}`"),
                ));
            }
            permitted(&payload, run.images.values())?;
        }
        Grounds::Promotion {
            decision,
            approvals,
        } => {
            open(decision)?;
            permitted(&payload, decision.images.values())?;
            approved(decision, approvals)?;
        }
    }
    let Some(built_as) = built_as else {
        return Err(refuse(
            RefusalCode::NoProvenance,
            format!("no provenance of {subject} was signed here before"),
        ));
    };
    if matches!(grounds, Grounds::Run(_)) && !built_as.contains(payload.repository.as_str()) {
        return Err(refuse(
            RefusalCode::OtherReference,
            format!(
                "{} is not where its provenance says that it was built",
                payload.repository
            ),
        ));
    }
    Ok(Granted {
        subject,
        about: payload.repository.to_string(),
        name: None,
    })
}

fn permitted<'a>(
    payload: &Payload,
    mut targets: impl Iterator<Item = &'a Target> + Clone,
) -> Result<(), Refusal> {
    let is_image = |target: &&Target| target.digest == payload.digest;
    if !targets.clone().any(|target| is_image(&target)) {
        return Err(refuse(
            RefusalCode::NotPassed,
            format!("what passed does not hold {}", payload.digest),
        ));
    }
    if targets.any(|target| is_image(&target) && target.repository == payload.repository) {
        return Ok(());
    }
    Err(refuse(
        RefusalCode::OtherReference,
        format!("{} is not where it may go", payload.repository),
    ))
}

fn open(decision: &Decision) -> Result<(), Refusal> {
    if decision.version != decision::VERSION {
        return Err(refuse(
            RefusalCode::BadRequest,
            format!("a decision of version {}", decision.version),
        ));
    }
    match decision.outcome {
        Outcome::Open => Ok(()),
        Outcome::Closed => Err(refuse(
            RefusalCode::NotPassed,
            format!("the gate before {} is closed", decision.environment),
        )),
    }
}

/// As many people as the gate wants said yes to exactly this, each once, in time; nobody said no.
fn approved(decision: &Decision, approvals: &[String]) -> Result<(), Refusal> {
    let not = |why: String| refuse(RefusalCode::NotApproved, why);
    let mut people = BTreeSet::new();
    for text in approvals {
        let approval = Approval::read(text.as_bytes()).map_err(|e| not(e.to_string()))?;
        let same = approval.promotion == decision.promotion
            && approval.environment == decision.environment
            && approval.release == decision.release
            && approval.images == decision.images
            && approval.evidence == decision.evidence
            && approval.settings_version == decision.settings_version;
        if !same {
            return Err(not("an approval is of something else".to_owned()));
        }
        if approval.answer == Answer::Reject {
            return Err(not("somebody said no".to_owned()));
        }
        if approval.expires_at <= decision.decided_at {
            return Err(not("an approval had expired".to_owned()));
        }
        people.insert(approval.approver);
    }
    let given = u32::try_from(people.len()).unwrap_or(u32::MAX);
    if given < decision.approvals_required {
        return Err(not(format!(
            "{given} of {} approvals",
            decision.approvals_required
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
