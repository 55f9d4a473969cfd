//! What a gate judges, by what, and what it says.

use super::seats::Seats;
use crate::approval::Approval;
use crate::clock::At;
use crate::finding::Known;
use crate::identity::PersonId;
use crate::image::Release;
use contract::digest::Digest;
use contract::settings::{Environment, Settings};
use serde::{Deserialize, Serialize};

/// A release in an environment, told by `promotion`, which knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The environment.
    pub environment: String,
    /// Since when.
    pub since: At,
}

/// What an environment holds, told by `promotion`, which knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The commit that its release was built from.
    pub commit: String,
    /// The version of the settings by which it was let in.
    pub settings_version: i64,
}

/// Who asked for a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    /// The settings' rule.
    Rule,
    /// A person.
    Person(PersonId),
    /// Somebody who cannot be matched to a person, as stored: a user of the host, a token that another
    /// made.
    Unmatched(String),
}

/// What is judged.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The project's id.
    pub project_id: String,
    /// The promotion's id.
    pub promotion_id: String,
    /// The settings and their version.
    pub settings: Settings,
    /// The version of the settings.
    pub settings_version: i64,
    /// The environment that it is to enter.
    pub environment: Environment,
    /// The release.
    pub release: Release,
    /// Who asked for it.
    pub requester: Requester,
    /// Where the release is now.
    pub placements: Vec<Placement>,
    /// What the environment holds now.
    pub holds: Option<Holding>,
}

impl Subject {
    /// The commit that the environment holds; empty when it holds nothing.
    pub fn base(&self) -> &str {
        self.holds.as_ref().map_or("", |holds| &holds.commit)
    }
}

/// Everything that is known about it now.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The run's number.
    pub run_number: i64,
    /// Whether the run succeeded.
    pub run_passed: bool,
    /// When the run ended (µs since 1970 UTC).
    pub run_finished_at: Option<i64>,
    /// Findings, packages, tests.
    pub known: Known,
    /// Images without provenance or quarantine signature that is published and holds.
    pub unsigned: Vec<String>,
    /// What hinders one of them, as it was seen last.
    pub hindered: Option<String>,
    /// When the last of them was published.
    pub signed_at: Option<i64>,
    /// Who may fill an approver's seat, and who not.
    pub seats: Seats,
    /// The standing answers.
    pub approvals: Vec<Approval>,
    /// SHA-256 over what an approval binds.
    pub digest: Digest,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// The run succeeded.
    Run,
    /// It is in the environments before this one.
    After,
    /// Nothing open at or above a severity.
    Findings,
    /// Every package could be judged.
    Matched,
    /// The advisories are fresh.
    Advisories,
    /// Tests passed.
    Tests,
    /// Provenance and signature are published.
    Signed,
    /// It has been before this one long enough.
    Soak,
    /// It is known who worked on what comes in.
    Contributors,
    /// People said yes.
    Approvals,
    /// Nobody said no.
    Rejections,
}

/// Whether a condition is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionState {
    /// It is.
    Met,
    /// Somebody or something has to do something.
    Unmet,
    /// It will be by itself.
    Waiting,
    /// It never will be for this release.
    Failed,
}

/// One condition, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionKind,
    /// Whether it is met.
    pub state: ConditionState,
    /// Its name.
    pub title: String,
    /// What is.
    pub value: String,
    /// What is wanted.
    pub wanted: String,
    /// More, or who or what can meet it, and when.
    pub detail: String,
    /// When the evidence is from (µs since 1970 UTC); none: it is of now.
    pub evidence_at: Option<i64>,
}

impl Condition {
    /// Whether it is met.
    pub fn is_met(&self) -> bool {
        self.state == ConditionState::Met
    }
}

/// What the gate says.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Every condition, unmet first.
    pub conditions: Vec<Condition>,
    /// SHA-256 over what an approval binds.
    pub evidence: Digest,
    /// How many people have to say yes.
    pub approvals_required: u32,
    /// Approvals that count.
    pub counted: Vec<Approval>,
    /// Who may fill a seat.
    pub seats: Seats,
    /// By which version of the project's settings.
    pub settings_version: i64,
    /// When it was judged.
    pub judged_at: At,
}

impl Judgement {
    /// Whether every condition is met.
    pub fn is_open(&self) -> bool {
        self.conditions.iter().all(Condition::is_met)
    }

    /// Whether it can never open for this release.
    pub fn has_failed(&self) -> bool {
        self.conditions
            .iter()
            .any(|c| c.state == ConditionState::Failed)
    }
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The database.
    #[error("read what a gate judges, or write its decision")]
    Db(#[from] crate::db::Error),
    /// The repository.
    #[error("read who worked on a release")]
    Source(#[from] crate::source::SourceError),
    /// The approvals.
    #[error("read or end approvals")]
    Approval(#[from] crate::approval::ApprovalError),
    /// What is signed.
    #[error("verify what is signed")]
    Attestation(#[from] crate::attestation::AttestationError),
    /// A run is not there, or names no commit.
    #[error("{what} of run {run_id} is not there")]
    NoRun {
        /// What.
        what: &'static str,
        /// Of which.
        run_id: String,
    },
    /// What is judged is not there.
    #[error("{what} of promotion {promotion_id} is not there")]
    Missing {
        /// What.
        what: &'static str,
        /// Of which.
        promotion_id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(states: &[ConditionState]) -> Judgement {
        let condition = |state: &ConditionState| Condition {
            kind: ConditionKind::Run,
            state: *state,
            title: String::new(),
            value: String::new(),
            wanted: String::new(),
            detail: String::new(),
            evidence_at: None,
        };
        Judgement {
            conditions: states.iter().map(condition).collect(),
            evidence: Digest::of(b""),
            approvals_required: 0,
            counted: Vec::new(),
            seats: Seats::default(),
            settings_version: 1,
            judged_at: At(0),
        }
    }

    #[test]
    fn a_gate_is_open_when_each_condition_is_met_and_has_failed_when_one_has() {
        use ConditionState::{Failed, Met, Unmet, Waiting};
        let all = [Met, Unmet, Waiting, Failed];
        for one in all {
            assert_eq!(judged(&[one]).is_open(), one == Met, "{one:?}");
            assert_eq!(judged(&[one]).has_failed(), one == Failed, "{one:?}");
            for other in all {
                let both = judged(&[one, other]);
                assert_eq!(both.is_open(), one == Met && other == Met);
                assert_eq!(both.has_failed(), one == Failed || other == Failed);
            }
        }
    }
}
