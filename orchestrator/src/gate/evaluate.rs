//! Judges: pure, no I/O, no clock. Every condition is listed, met or not, with who or what can meet it.

use super::seats::Commits;
use super::state::{
    Condition, ConditionKind, ConditionState, Evidence, Judgement, Placement, Subject,
};
use crate::approval::{Approval, ApprovalState};
use crate::clock::At;
use crate::finding::Severity;
use contract::settings::{FindingsRule, SeverityLevel, TestsRule};
use evidence::approval::Answer;
use std::collections::BTreeSet;
use std::time::Duration;

/// Judges a subject by the evidence of now.
pub fn evaluate(subject: &Subject, evidence: &Evidence, now: At) -> Judgement {
    let gate = &subject.environment.gate;
    let mut conditions = vec![run(evidence)];
    for after in &subject.environment.after {
        conditions.push(after_of(after.as_str(), &subject.placements));
    }
    if let Some(rule) = &gate.findings {
        conditions.push(findings(rule, evidence));
        conditions.push(matched(rule, evidence));
        conditions.extend(advisories(rule, evidence, now));
    }
    if let Some(rule) = &gate.tests {
        conditions.push(tests(rule, evidence));
    }
    conditions.push(signed(evidence));
    if let Some(soak_ms) = gate.soak_ms {
        conditions.push(soak(soak_ms, subject, now));
    }
    let counted = counted(subject, evidence, now);
    let required = evidence.seats.required();
    if required > 0 {
        conditions.push(contributors(evidence));
        conditions.push(approvals(required, &counted, evidence));
    }
    conditions.extend(rejections(subject, evidence, now));
    // Unmet first; what nobody can mend above what somebody can.
    conditions.sort_by_key(|condition| match condition.state {
        ConditionState::Failed => 0,
        ConditionState::Unmet => 1,
        ConditionState::Waiting => 2,
        ConditionState::Met => 3,
    });
    Judgement {
        conditions,
        evidence: evidence.digest,
        approvals_required: required,
        counted,
        seats: evidence.seats.clone(),
        settings_version: subject.settings_version,
        judged_at: now,
    }
}

fn condition(
    kind: ConditionKind,
    state: ConditionState,
    title: impl Into<String>,
    value: impl Into<String>,
    wanted: impl Into<String>,
    detail: impl Into<String>,
) -> Condition {
    Condition {
        kind,
        state,
        title: title.into(),
        value: value.into(),
        wanted: wanted.into(),
        detail: detail.into(),
        evidence_at: None,
    }
}

fn met_or(unless: ConditionState, met: bool) -> ConditionState {
    if met { ConditionState::Met } else { unless }
}

fn run(evidence: &Evidence) -> Condition {
    let state = met_or(ConditionState::Failed, evidence.run_passed);
    let value = if evidence.run_passed {
        "succeeded"
    } else {
        "did not succeed"
    };
    let detail = if evidence.run_passed {
        format!("Run {}", evidence.run_number)
    } else {
        format!(
            "Run {}. A commit whose run succeeds meets this.",
            evidence.run_number
        )
    };
    let mut condition = condition(
        ConditionKind::Run,
        state,
        "Run succeeded",
        value,
        "succeeded",
        detail,
    );
    condition.evidence_at = evidence.run_finished_at;
    condition
}

fn after_of(environment: &str, placements: &[Placement]) -> Condition {
    let placed = placements
        .iter()
        .find(|placement| placement.environment == environment);
    let (value, detail) = match placed {
        Some(_) => ("is there", "The same digests are there now.".to_owned()),
        None => (
            "is not there",
            format!("Met when this release has been promoted to {environment}."),
        ),
    };
    let state = met_or(ConditionState::Waiting, placed.is_some());
    let title = format!("In {environment} first");
    let mut condition = condition(
        ConditionKind::After,
        state,
        title,
        value,
        "is there",
        detail,
    );
    condition.evidence_at = placed.map(|placement| placement.since.0);
    condition
}

fn threshold(level: SeverityLevel) -> Severity {
    match level {
        SeverityLevel::Low => Severity::Low,
        SeverityLevel::Medium => Severity::Medium,
        SeverityLevel::High => Severity::High,
        SeverityLevel::Critical => Severity::Critical,
    }
}

/// Worst findings that are named in the condition itself; the page links to all.
const NAMED_MAX: usize = 3;

fn findings(rule: &FindingsRule, evidence: &Evidence) -> Condition {
    let at = threshold(rule.none_at_or_above);
    let wanted = format!("none at or above {}", rule.none_at_or_above.as_str());
    let open: Vec<_> = evidence
        .known
        .findings
        .iter()
        .filter(|open| open.finding.severity.counts_at(at))
        .collect();
    let (state, value, detail) = if !evidence.known.unscanned.is_empty() {
        let names = evidence.known.unscanned.join(", ");
        let detail = format!("Nothing is known of {names}: add a `scan` step for each image.");
        (ConditionState::Failed, "not scanned".to_owned(), detail)
    } else if open.is_empty() {
        let below = evidence.known.findings.len();
        let detail = match below {
            0 => "No finding is open.".to_owned(),
            some => format!("{some} below that."),
        };
        (ConditionState::Met, "none".to_owned(), detail)
    } else {
        let named: Vec<String> = open
            .iter()
            .take(NAMED_MAX)
            .map(|open| format!("{} ({})", open.finding.title, open.finding.severity))
            .collect();
        let more = open.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let detail = format!(
            "{}{more}. A commit that mends them meets this.",
            named.join("; ")
        );
        (
            ConditionState::Failed,
            format!("{} open", open.len()),
            detail,
        )
    };
    condition(
        ConditionKind::Findings,
        state,
        "Findings",
        value,
        wanted,
        detail,
    )
}

/// DECISIONS 28: what cannot be judged is not good.
fn matched(rule: &FindingsRule, evidence: &Evidence) -> Condition {
    let known = &evidence.known;
    let open: Vec<_> = known
        .not_checked
        .iter()
        .filter(|package| !rule.accept_unmatched.contains(&package.kind))
        .collect();
    let accepted = known.not_checked.len() - open.len();
    let title = "Every package judged";
    if !known.outdated.is_empty() {
        let detail = "New advisories came in; the packages are being judged again.";
        let value = format!("{} to judge again", known.outdated.len());
        let state = ConditionState::Waiting;
        return condition(ConditionKind::Matched, state, title, value, "all", detail);
    }
    let kinds: BTreeSet<&str> = open.iter().map(|package| package.kind.as_str()).collect();
    let (state, value, detail) = if open.is_empty() {
        let detail = match accepted {
            0 => "No package was left out.".to_owned(),
            some => format!(
                "{some} packages of {} are accepted unchecked by the settings.",
                rule.accept_unmatched.join(", ")
            ),
        };
        (ConditionState::Met, "all or accepted".to_owned(), detail)
    } else {
        let kinds: Vec<&str> = kinds.into_iter().collect();
        let named = open.iter().take(NAMED_MAX);
        let named: Vec<String> = named
            .map(|package| format!("{} {}: {}", package.name, package.version, package.why))
            .collect();
        let detail = format!(
            "{}. Met when they can be judged (sallyport advisories import), or when the settings accept {} in accept-unmatched.",
            named.join("; "),
            kinds.join(", ")
        );
        (
            ConditionState::Unmet,
            format!("{} not checked", open.len()),
            detail,
        )
    };
    condition(ConditionKind::Matched, state, title, value, "all", detail)
}

fn advisories(rule: &FindingsRule, evidence: &Evidence, now: At) -> Option<Condition> {
    let within = Duration::from_millis(rule.advisories_confirmed_within_ms?);
    let wanted = format!("confirmed within {}", words(within));
    let (state, value) = match evidence.known.confirmed_at() {
        Some(at) => {
            let age = now.since(At(at));
            (
                met_or(ConditionState::Unmet, age <= within),
                format!("{} ago", words(age)),
            )
        }
        // Nothing to be judged by any of them.
        None if evidence.known.holds_no_packages() => {
            (ConditionState::Met, "none needed".to_owned())
        }
        None => (ConditionState::Unmet, "never".to_owned()),
    };
    let detail = match state {
        ConditionState::Met => "An import confirms them, also an unchanged one.",
        ConditionState::Unmet | ConditionState::Waiting | ConditionState::Failed => {
            "Met by an import, also an unchanged one (sallyport advisories import)."
        }
    };
    let mut condition = condition(
        ConditionKind::Advisories,
        state,
        "Advisories",
        value,
        wanted,
        detail,
    );
    condition.evidence_at = evidence.known.confirmed_at();
    Some(condition)
}

fn tests(rule: &TestsRule, evidence: &Evidence) -> Condition {
    let tests = &evidence.known.tests;
    let failed = tests.failed + tests.errored;
    let enough = u64::try_from(tests.passed).unwrap_or(0) >= rule.at_least;
    let value = format!("{} of {} passed", tests.passed, tests.passed + failed);
    let wanted = format!("all, at least {}", rule.at_least);
    let mut detail = match tests.skipped {
        0 => "None skipped.".to_owned(),
        some => format!("{some} skipped."),
    };
    let state = met_or(ConditionState::Failed, failed == 0 && enough);
    if state == ConditionState::Failed {
        detail.push_str(" A commit whose run has enough tests, and all of them pass, meets this.");
    }
    condition(ConditionKind::Tests, state, "Tests", value, wanted, detail)
}

fn signed(evidence: &Evidence) -> Condition {
    let state = met_or(ConditionState::Waiting, evidence.unsigned.is_empty());
    let (value, detail) = if evidence.unsigned.is_empty() {
        (
            "all".to_owned(),
            "Provenance and signature are published and were read back.".to_owned(),
        )
    } else {
        let names = evidence.unsigned.join(", ");
        let detail = match &evidence.hindered {
            None => "Met by itself as soon as it is stated, signed and published.".to_owned(),
            Some(why) => format!("Tried again and again; what hinders: {why}."),
        };
        (format!("not yet: {names}"), detail)
    };
    let mut condition = condition(ConditionKind::Signed, state, "Signed", value, "all", detail);
    condition.evidence_at = evidence.signed_at;
    condition
}

fn soak(soak_ms: u64, subject: &Subject, now: At) -> Condition {
    let wanted = Duration::from_millis(soak_ms);
    let since = subject
        .environment
        .after
        .iter()
        .map(|after| {
            let placed = subject
                .placements
                .iter()
                .find(|p| p.environment == after.as_str());
            placed.map(|placement| placement.since)
        })
        .collect::<Option<Vec<At>>>()
        .and_then(|since| since.into_iter().max());
    let (state, value, detail) = match since {
        None => (
            ConditionState::Waiting,
            "not started".to_owned(),
            "Starts when it is there.".to_owned(),
        ),
        Some(since) => {
            let been = now.since(since);
            let left = wanted.saturating_sub(been);
            let detail = match left {
                Duration::ZERO => String::new(),
                left => format!("Met by itself in {}.", words(left)),
            };
            (
                met_or(ConditionState::Waiting, left.is_zero()),
                words(been),
                detail,
            )
        }
    };
    let wanted = format!("at least {}", words(wanted));
    let mut condition = condition(ConditionKind::Soak, state, "Soak", value, wanted, detail);
    condition.evidence_at = since.map(|since| since.0);
    condition
}

/// An approval counts when it binds exactly this, by somebody who may, and has not ended. One that was used
/// opened the gate of this very promotion, and counts when that is judged again before its first tag.
fn binds(approval: &Approval, subject: &Subject, evidence: &Evidence) -> bool {
    let statement = &approval.statement;
    statement.promotion == subject.promotion_id
        && statement.release == subject.release.id.as_str()
        && statement.release_digest == subject.release.digest
        && statement.environment == subject.environment.name.as_str()
        && statement.settings_version == subject.settings_version
        && statement.evidence == evidence.digest
        && statement.approver == approval.person.as_str()
}

fn counted(subject: &Subject, evidence: &Evidence, now: At) -> Vec<Approval> {
    let good = |approval: &&Approval| {
        approval.statement.answer == Answer::Approve
            && now.0 < approval.statement.expires_at
            && !matches!(approval.state, ApprovalState::Void { .. })
            && evidence.seats.commits != Commits::NotRead
            && evidence.seats.may(&approval.person)
            && binds(approval, subject, evidence)
    };
    evidence.approvals.iter().filter(good).cloned().collect()
}

/// Who worked on it cannot approve: until that is known, nobody's approval counts.
fn contributors(evidence: &Evidence) -> Condition {
    let (state, value, detail) = match evidence.seats.commits {
        Commits::NotRead => (
            ConditionState::Waiting,
            "not read yet".to_owned(),
            "Met by itself as soon as the repository's commits have been read.",
        ),
        Commits::Read { count, complete } => (
            ConditionState::Met,
            match (count, complete) {
                (1, true) => "1 commit".to_owned(),
                (count, true) => format!("{count} commits"),
                (count, false) => format!("{count} commits read, not all"),
            },
            "Who wrote or committed one of them cannot approve.",
        ),
    };
    condition(
        ConditionKind::Contributors,
        state,
        "Known who worked on it",
        value,
        "all commits that come in",
        detail,
    )
}

fn approvals(required: u32, counted: &[Approval], evidence: &Evidence) -> Condition {
    let given = u32::try_from(counted.len()).unwrap_or(u32::MAX);
    let open: Vec<&str> = evidence
        .seats
        .candidates
        .iter()
        .filter(|c| c.exclusions.is_empty() && !counted.iter().any(|a| a.person == c.person))
        .map(|candidate| candidate.display_name.as_str())
        .collect();
    let mut detail = if given >= required {
        String::new()
    } else if open.is_empty() {
        "Nobody who may is left: give the role to somebody who had no part in this.".to_owned()
    } else {
        format!("Can be given by {}.", open.join(" or "))
    };
    if !evidence.seats.one_more.is_empty() {
        detail.push_str(&format!(
            " One more is wanted: {}.",
            evidence.seats.one_more.join("; ")
        ));
    }
    let title = format!(
        "Approvals by {}s",
        evidence
            .seats
            .role
            .as_deref()
            .unwrap_or("nobody")
            .replace('-', " ")
    );
    let state = met_or(ConditionState::Unmet, given >= required);
    let value = format!("{given} of {required}");
    let wanted = required.to_string();
    condition(
        ConditionKind::Approvals,
        state,
        title,
        value,
        wanted,
        detail.trim(),
    )
}

/// Somebody who may approve said no: that stands until it ends.
fn rejections(subject: &Subject, evidence: &Evidence, now: At) -> Option<Condition> {
    let no = evidence.approvals.iter().find(|approval| {
        approval.statement.answer == Answer::Reject
            && now.0 < approval.statement.expires_at
            && approval.statement.promotion == subject.promotion_id
    })?;
    let who = evidence
        .seats
        .candidates
        .iter()
        .find(|c| c.person == no.person);
    let who = who.map_or("somebody", |candidate| candidate.display_name.as_str());
    let detail = format!("{who}: “{}”", no.statement.reason);
    let state = ConditionState::Failed;
    Some(condition(
        ConditionKind::Rejections,
        state,
        "Not rejected",
        "rejected",
        "not rejected",
        detail,
    ))
}

/// A duration as people say it, by its largest two units.
fn words(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (d, h, m, s) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => format!("{d} d"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests;
