//! What a reader's answer is about, and what it would do.

use super::super::Copied;
use super::people::People;
use crate::clock::At;
use crate::gate::{Condition, ConditionKind, Judgement};
use crate::http::extract::SignedIn;
use crate::promotion::Promotion;

/// What the form needs, where there is one.
pub(super) struct Answering {
    pub(super) evidence: String,
    pub(super) digest: Option<Copied>,
    /// All that the reader was shown, as text: with another one they were shown something else.
    pub(super) watched: String,
    /// What their yes would do, in words.
    pub(super) effect: String,
    /// Their sign-in is not fresh any more.
    pub(super) wants_password: bool,
}

/// Of a promotion as it was judged.
pub(super) fn answering(
    signed_in: &SignedIn,
    promotion: &Promotion,
    judgement: Option<&Judgement>,
    (people, now): (&People, At),
) -> Answering {
    let evidence = judgement.map(|judgement| judgement.evidence.to_string());
    let evidence = evidence.unwrap_or_default();
    let conditions = judgement.map_or(&[][..], |judgement| &judgement.conditions);
    let met = conditions.iter().filter(|one| one.is_met()).count();
    let given = people.given.len();
    Answering {
        digest: judgement.map(|_| Copied::full("evidence digest", evidence.clone())),
        watched: format!("{evidence} {met}/{} {given}", conditions.len()),
        effect: effect(conditions, people.open, promotion.environment.as_str()),
        wants_password: !signed_in.session.is_fresh(now),
        evidence,
    }
}

/// What a yes of this reader does: it is the last thing that was wanted, or something is left. `open` seats
/// are empty before it.
fn effect(conditions: &[Condition], open: usize, environment: &str) -> String {
    let mut left: Vec<String> = conditions
        .iter()
        .filter(|condition| !condition.is_met() && condition.kind != ConditionKind::Approvals)
        .map(|condition| condition.title.clone())
        .collect();
    left.extend(match open.saturating_sub(1) {
        0 => None,
        1 => Some("one more approval".to_owned()),
        more => Some(format!("{more} more approvals")),
    });
    match left.as_slice() {
        [] => format!("Yours is the last condition: {environment} changes at once."),
        [one] => format!("After yours, 1 condition is still unmet: {one}."),
        more => format!(
            "After yours, {} conditions are still unmet: {}.",
            more.len(),
            more.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::ConditionState;

    fn condition(kind: ConditionKind, state: ConditionState, title: &str) -> Condition {
        Condition {
            kind,
            state,
            title: title.to_owned(),
            value: String::new(),
            wanted: String::new(),
            detail: String::new(),
            evidence_at: None,
        }
    }

    #[test]
    fn a_yes_says_what_it_does() {
        let approvals = condition(ConditionKind::Approvals, ConditionState::Unmet, "Approvals");
        let run = condition(ConditionKind::Run, ConditionState::Met, "Run succeeded");
        let mut all = vec![approvals, run];
        assert_eq!(
            effect(&all, 1, "prod"),
            "Yours is the last condition: prod changes at once."
        );
        assert_eq!(
            effect(&all, 2, "prod"),
            "After yours, 1 condition is still unmet: one more approval."
        );
        all.push(condition(
            ConditionKind::Soak,
            ConditionState::Waiting,
            "Soak",
        ));
        assert_eq!(
            effect(&all, 3, "prod"),
            "After yours, 2 conditions are still unmet: Soak; 2 more approvals."
        );
    }
}
