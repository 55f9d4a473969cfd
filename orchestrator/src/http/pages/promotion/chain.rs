//! The chain from a trigger to a promotion, each link with its own page.

use super::super::runs::short_ref;
use super::super::{Look, Status};
use super::people::People;
use super::{condition_status, status};
use crate::gate::{Condition, ConditionKind};
use crate::promotion::Promotion;
use crate::run::{Origin, Run};

/// One link.
pub(super) struct Link {
    pub(super) status: Status,
    pub(super) title: &'static str,
    pub(super) href: Option<String>,
    pub(super) words: String,
}

const DONE: Status = Status::new(Look::Pass, "pass", "Done");
const NONE: Status = Status::new(Look::Idle, "skip", "None");
const OPEN: Status = Status::new(Look::Wait, "unmet", "Open");

/// Trigger, run, digest, findings, gate, approvals, promotion.
pub(super) fn chain(
    promotion: &Promotion,
    (run, origin): (&Run, &Origin),
    conditions: &[Condition],
    people: &People,
) -> Vec<Link> {
    let run_page = format!("/projects/{}/runs/{}", run.project, run.number);
    let link = |status, title, href: Option<String>, words: String| Link {
        status,
        title,
        href,
        words,
    };
    let trigger = format!("{} of {}", origin.event, short_ref(&run.ref_name));
    let (found, found_words) = findings(conditions);
    let (gate, gate_words) = gate(conditions);
    let (approvals, approvals_words) = approvals(people);
    let now = status(&promotion.state);
    let end = format!("{} {}", promotion.environment, now.word.to_lowercase());
    vec![
        link(
            DONE,
            "Trigger",
            Some(format!("/deliveries/{}", origin.delivery_id)),
            trigger,
        ),
        link(
            DONE,
            "Run",
            Some(run_page.clone()),
            format!("run {}", run.number),
        ),
        link(
            DONE,
            "Digest",
            Some(run_page.clone()),
            "read back from the registry".to_owned(),
        ),
        link(
            found,
            "Findings",
            Some(format!("{run_page}#f-h")),
            found_words,
        ),
        link(gate, "Gate", Some("#gate-h".to_owned()), gate_words),
        link(approvals, "Approvals", None, approvals_words),
        link(now, "Promotion", None, end),
    ]
}

fn findings(conditions: &[Condition]) -> (Status, String) {
    let found = conditions
        .iter()
        .find(|condition| condition.kind == ConditionKind::Findings);
    match found {
        Some(found) => (condition_status(found.state), found.value.clone()),
        None => (NONE, "this gate has no rule on them".to_owned()),
    }
}

fn gate(conditions: &[Condition]) -> (Status, String) {
    let unmet = conditions.iter().filter(|c| !c.is_met()).count();
    match (conditions.len(), unmet) {
        (0, _) => (NONE, "ended before it opened".to_owned()),
        (all, 0) => (DONE, format!("{all} conditions met")),
        (_, unmet) => (OPEN, format!("{unmet} unmet")),
    }
}

fn approvals(people: &People) -> (Status, String) {
    match (people.given.len(), people.open) {
        (0, 0) => (NONE, "nobody is asked".to_owned()),
        (given, 0) => (DONE, format!("{given} given")),
        (given, open) => (OPEN, format!("{given} given, {open} open")),
    }
}
