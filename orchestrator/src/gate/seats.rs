//! Who may fill an approver's seat: author, committer, triggerer, requester and gate editor never,
//! administrators are no exception; settings can only exclude more (DESIGN.md Gates).

use crate::identity::PersonId;

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// Wrote the commit.
    Author,
    /// Committed it.
    Committer,
    /// Pushed it.
    Triggerer,
    /// Asked for the promotion.
    Requester,
    /// Applied the settings that hold the gate.
    GateEditor,
    /// Holds a role that the settings exclude.
    NotAlso,
}

impl Exclusion {
    /// In words, after "they".
    pub fn words(self) -> &'static str {
        match self {
            Self::Author => "wrote the commit",
            Self::Committer => "committed it",
            Self::Triggerer => "triggered the run",
            Self::Requester => "requested this promotion",
            Self::GateEditor => "edited the gate's settings",
            Self::NotAlso => "hold a role that this gate excludes",
        }
    }
}

/// A person who holds the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub display_name: String,
    /// Why they may not; empty: they may.
    pub exclusions: Vec<Exclusion>,
}

/// Seats of one gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seats {
    /// The role that fills them; none: the gate wants no approval.
    pub role: Option<String>,
    /// How many the settings want.
    pub wanted: u32,
    /// How long an approval is good (ms).
    pub expires_ms: u64,
    /// Who holds the role.
    pub candidates: Vec<Candidate>,
    /// Author, committer or pusher who map to nobody, as they are called: each release with any of
    /// them asks for one more approval.
    pub unknown: Vec<String>,
}

impl Seats {
    /// How many people have to say yes.
    pub fn required(&self) -> u32 {
        match (&self.role, self.unknown.is_empty()) {
            (None, _) => 0,
            (Some(_), true) => self.wanted,
            (Some(_), false) => self.wanted.saturating_add(1),
        }
    }

    /// Why a person may not fill a seat; `None` when they hold no role for it at all.
    pub fn exclusions(&self, person: &PersonId) -> Option<&[Exclusion]> {
        let found = self
            .candidates
            .iter()
            .find(|candidate| candidate.person == *person);
        found.map(|candidate| candidate.exclusions.as_slice())
    }

    /// Whether a person may fill a seat.
    pub fn may(&self, person: &PersonId) -> bool {
        self.exclusions(person).is_some_and(<[Exclusion]>::is_empty)
    }
}
