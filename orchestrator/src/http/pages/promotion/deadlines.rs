//! What about a promotion expires or is over by itself, and when.

use super::super::parts::Until;
use super::people::Given;
use crate::clock::At;
use crate::gate::{Condition, ConditionKind};
use crate::promotion::Promotion;
use contract::settings::Gate;
use std::time::Duration;

/// Something that a clock decides.
pub(super) struct Deadline {
    /// What, in words.
    pub(super) what: String,
    /// What becomes of it then.
    pub(super) then: &'static str,
    pub(super) until: Until,
}

/// In the order in which they come; none where the promotion has ended or is being applied.
pub(super) fn deadlines(
    promotion: &Promotion,
    conditions: &[Condition],
    gate: Option<&Gate>,
    given: &[Given],
    now: At,
) -> Vec<Deadline> {
    if !promotion.state.is_open() {
        return Vec::new();
    }
    let since = |kind: ConditionKind| {
        let found = conditions.iter().find(|condition| condition.kind == kind);
        found.and_then(|condition| condition.evidence_at)
    };
    let after = |at: Option<i64>, ms: Option<u64>| {
        at.zip(ms)
            .map(|(at, ms)| At(at).plus(Duration::from_millis(ms)))
    };
    let soak = after(since(ConditionKind::Soak), gate.and_then(|g| g.soak_ms));
    let within = gate
        .and_then(|gate| gate.findings.as_ref())
        .and_then(|rule| rule.advisories_confirmed_within_ms);
    let advisories = after(since(ConditionKind::Advisories), within);
    let mut all: Vec<(At, String, &'static str)> = Vec::new();
    all.extend(soak.map(|at| {
        let what = "Soak".to_owned();
        (at, what, "It has been before this environment long enough.")
    }));
    all.extend(advisories.map(|at| {
        let what = "Advisories are fresh".to_owned();
        (
            at,
            what,
            "Until they are confirmed again the gate is closed.",
        )
    }));
    all.extend(given.iter().filter_map(|one| {
        let what = format!("Approval by {}", one.name);
        Some((
            one.expires?,
            what,
            "It counts no more; they can give it again.",
        ))
    }));
    all.sort_by_key(|(at, _, _)| *at);
    all.into_iter()
        .map(|(at, what, then)| Deadline {
            what,
            then,
            until: Until::new(at, now),
        })
        .collect()
}
