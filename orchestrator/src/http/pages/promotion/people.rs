//! Who has approved, who may, who may not and why; and the same about the reader.

use super::super::parts::lasting;
use super::super::{Look, PageError, Status, When};
use crate::approval::ApprovalState;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::{Exclusion, Judgement};
use crate::http::extract::SignedIn;
use crate::identity::{self, PersonId};
use crate::promotion::Promotion;
use evidence::approval::Answer;
use std::time::Duration;

/// Somebody who has answered.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) reason: String,
    pub(super) when: When,
    /// When a yes that waits for its gate counts no more.
    pub(super) expires: Option<At>,
}

/// Somebody who may not.
pub(super) struct MayNot {
    pub(super) name: String,
    pub(super) why: String,
}

/// One fact about the reader.
pub(super) struct Tick {
    pub(super) status: Status,
    pub(super) words: &'static str,
}

/// What this reader may do.
pub(super) enum Mine {
    /// Answer it.
    May(Vec<Tick>),
    /// They have said yes.
    Given,
    /// Not: why.
    MayNot { words: String, ticks: Vec<Tick> },
    /// It waits for nobody.
    Closed,
}

impl Mine {
    pub(super) fn may(&self) -> bool {
        matches!(self, Self::May(_))
    }

    /// Whether the page says anything about the reader.
    pub(super) fn is_shown(&self) -> bool {
        match self {
            Self::May(_) | Self::Given | Self::MayNot { .. } => true,
            Self::Closed => false,
        }
    }
}

/// Everybody at the seats.
pub(super) struct People {
    pub(super) required: u32,
    pub(super) counted: usize,
    pub(super) rule: String,
    pub(super) given: Vec<Given>,
    pub(super) open: usize,
    pub(super) may: Vec<String>,
    pub(super) may_not: Vec<MayNot>,
}

/// The answers that stand, and who could fill what is open.
pub(super) async fn people(
    conn: &mut Conn,
    promotion: &Promotion,
    judgement: Option<&Judgement>,
    reader: Option<&PersonId>,
    now: At,
) -> Result<People, PageError> {
    let standing = crate::approval::standing(conn, promotion.id.as_str()).await;
    let standing = standing.map_err(PageError::log)?;
    let mut given = Vec::new();
    for approval in &standing {
        let name = identity::person_name(conn, approval.person.as_str())
            .await
            .map_err(PageError::log)?;
        given.push(Given {
            name: name.unwrap_or_default(),
            status: match approval.statement.answer {
                Answer::Approve => Status::new(Look::Pass, "pass", "Approved"),
                Answer::Reject => Status::new(Look::Fail, "fail", "Rejected"),
            },
            reason: approval.statement.reason.clone(),
            when: When::micros(approval.statement.given_at, now),
            expires: (approval.state == ApprovalState::Standing
                && approval.statement.answer == Answer::Approve
                && promotion.state.is_open())
            .then_some(At(approval.statement.expires_at)),
        });
    }
    let Some(judgement) = judgement else {
        return Ok(People {
            required: 0,
            counted: 0,
            rule: String::new(),
            given,
            open: 0,
            may: Vec::new(),
            may_not: Vec::new(),
        });
    };
    let has_answered = |person: &PersonId| standing.iter().any(|a| a.person == *person);
    let (mut may, mut may_not) = (Vec::new(), Vec::new());
    for candidate in &judgement.seats.candidates {
        if has_answered(&candidate.person) {
            continue;
        }
        if candidate.exclusions.is_empty() {
            let you = reader == Some(&candidate.person);
            may.push(if you {
                format!("{} (you)", candidate.display_name)
            } else {
                candidate.display_name.clone()
            });
        } else {
            let words: Vec<&str> = candidate.exclusions.iter().map(|e| e.words()).collect();
            may_not.push(MayNot {
                name: candidate.display_name.clone(),
                why: format!("They {}", words.join(" and ")),
            });
        }
    }
    let counted = judgement.counted.len();
    Ok(People {
        required: judgement.approvals_required,
        counted,
        rule: rule(judgement),
        given,
        open: usize::try_from(judgement.approvals_required)
            .unwrap_or(0)
            .saturating_sub(counted),
        may,
        may_not,
    })
}

/// The rule in words.
fn rule(judgement: &Judgement) -> String {
    let role = judgement.seats.role.as_deref().unwrap_or("nobody");
    let people = match judgement.approvals_required {
        1 => format!("One {role}"),
        more => format!("{more} people with the role {role}"),
    };
    let more = match judgement.seats.one_more.as_slice() {
        [] => String::new(),
        why => format!(" One more than usual: {}.", why.join("; ")),
    };
    let good = lasting(Duration::from_millis(judgement.seats.expires_ms));
    format!(
        "{people} must say yes, which counts for {good}. Who wrote, committed, triggered or requested the change, or edited the gate, cannot be one of them.{more}"
    )
}

/// What the reader may do, and why or why not.
pub(super) fn mine(signed_in: &SignedIn, judgement: Option<&Judgement>) -> Mine {
    let Some(judgement) = judgement.filter(|j| j.approvals_required > 0) else {
        return Mine::Closed;
    };
    let Some(person) = signed_in.session.caller.actor.person() else {
        return Mine::Closed;
    };
    let answered = judgement
        .counted
        .iter()
        .any(|given| given.person == *person);
    match judgement.seats.exclusions(person) {
        None => Mine::MayNot {
            words: "You do not hold the role that this gate asks for.".to_owned(),
            ticks: Vec::new(),
        },
        Some([]) if answered => Mine::Given,
        Some([]) => Mine::May(ticks(&[])),
        Some(some) => Mine::MayNot {
            words: "You hold the role, but you may not approve this promotion.".to_owned(),
            ticks: ticks(some),
        },
    }
}

/// Each rule of four eyes, as it is for the reader; who is excluded comes first.
fn ticks(exclusions: &[Exclusion]) -> Vec<Tick> {
    let rules = [
        (
            Exclusion::Author,
            "You wrote what comes in",
            "You did not write what comes in",
        ),
        (
            Exclusion::Committer,
            "You committed it",
            "You did not commit it",
        ),
        (
            Exclusion::Triggerer,
            "You triggered the run",
            "You did not trigger the run",
        ),
        (
            Exclusion::Requester,
            "You requested this promotion",
            "You did not request it",
        ),
        (
            Exclusion::GateEditor,
            "You edited the gate's settings",
            "No edit of this gate is yours",
        ),
        (
            Exclusion::NotAlso,
            "You hold a role that this gate excludes",
            "You hold no role that this gate excludes",
        ),
    ];
    let mut ticks: Vec<Tick> = vec![Tick {
        status: Status::new(Look::Pass, "pass", "Met"),
        words: "You hold the role that this gate asks for",
    }];
    ticks.extend(rules.map(|(rule, is, is_not)| {
        if exclusions.contains(&rule) {
            Tick {
                status: Status::new(Look::Fail, "refuse", "Not met"),
                words: is,
            }
        } else {
            Tick {
                status: Status::new(Look::Pass, "pass", "Met"),
                words: is_not,
            }
        }
    }));
    ticks.sort_by_key(|tick| tick.status.look != Look::Fail);
    ticks
}
