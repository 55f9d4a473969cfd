//! What is accepted: settings with every default filled in.

use crate::image::Repository;
use crate::name::Name;
use serde::{Deserialize, Serialize};

/// Checked project settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The project's name.
    pub project: Name,
    /// Where its repository is: a URL or a path of this host.
    pub git: String,
    /// The pipeline file's path in it.
    pub pipeline: String,
    /// What happens with work of outsiders.
    pub outsiders: Outsiders,
    /// Patterns of images that may be used.
    pub known_registries: Vec<String>,
    /// Built images go to `<quarantine>/<name>`.
    pub quarantine: Repository,
    /// The longest that a step may take.
    pub timeout_ms: u64,
    /// The most memory that a step may use.
    pub memory_bytes: u64,
    /// Steps of the project that work at once.
    pub parallel_steps: u32,
    /// Environments in the order of the file.
    pub environments: Vec<Environment>,
}

impl Settings {
    /// An environment by its name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name.as_str() == name)
    }
}

/// What happens with work of outsiders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outsiders {
    /// Nothing is started.
    Never,
    /// It waits for an approval.
    Hold,
    /// It runs with no trust.
    Untrusted,
}

/// A place that releases go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: Name,
    /// A release has to be in each of these first.
    pub after: Vec<Name>,
    /// Images go to `<repository>/<name>`.
    pub repository: Repository,
    /// Who asks for a promotion.
    pub promote: Promote,
    /// What has to be true.
    pub gate: Gate,
}

/// Who asks for a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promote {
    /// The rule: as soon as the gate is open.
    Automatic,
    /// A person, who then cannot approve.
    ByHand,
}

/// What has to be true before an environment. The run has always to have succeeded, and what is
/// promoted is always signed: neither can be switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Nothing open at or above a severity.
    pub findings: Option<FindingsRule>,
    /// Tests passed.
    pub tests: Option<TestsRule>,
    /// How long the release has to have been in every `after` environment.
    pub soak_ms: Option<u64>,
    /// Who has to say yes.
    pub approvals: Vec<ApprovalRule>,
}

/// The rule on findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingsRule {
    /// No open finding at or above this.
    pub none_at_or_above: SeverityLevel,
    /// The advisories have to have been confirmed within this time.
    pub advisories_confirmed_within_ms: Option<u64>,
    /// Ecosystems without an advisory source that are accepted, visibly (`deb`).
    pub accept_unmatched: Vec<String>,
}

/// Severities, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeverityLevel {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl SeverityLevel {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The rule on tests: all that ran have passed, and enough did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestsRule {
    /// At least so many.
    pub at_least: u64,
}

/// The rule on approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// The role.
    pub from: Name,
    /// So many people.
    pub count: u32,
    /// Further roles whose holders cannot fill a seat.
    pub not_also: Vec<Name>,
    /// An approval is good for so long.
    pub expires_ms: u64,
}
