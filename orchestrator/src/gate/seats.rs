//! Who may fill an approver's seat: authors and committers of what comes in, triggerer, requester and
//! gate editors never, administrators are no exception; settings can only exclude more (DESIGN.md
//! Gates). Where one of them cannot be matched to a person, nobody can be excluded for it: one more
//! approval is asked for instead.

use crate::identity::PersonId;

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// Wrote one of the commits that come in.
    Author,
    /// Committed one of them.
    Committer,
    /// Pushed it, or ran it again.
    Triggerer,
    /// Asked for the promotion.
    Requester,
    /// Applied settings that changed the gate or what it rests on.
    GateEditor,
    /// Holds a role that the settings exclude.
    NotAlso,
}

impl Exclusion {
    /// In words, after "they".
    pub fn words(self) -> &'static str {
        match self {
            Self::Author => "wrote a commit of this release",
            Self::Committer => "committed one of its commits",
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
    /// Why one more is wanted, however many reasons there are: author, committer, pusher, requester or
    /// editor who map to nobody, commits that could not all be read.
    pub one_more: Vec<String>,
    /// What is known of the commits that come in.
    pub commits: Commits,
}

/// What is known of the commits that a release brings over what its environment holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Commits {
    /// Nothing yet: nobody can tell who may fill a seat.
    #[default]
    NotRead,
    /// Who wrote and committed them.
    Read {
        /// How many were read.
        count: i64,
        /// Whether these are all.
        complete: bool,
    },
}

impl Seats {
    /// How many people have to say yes.
    pub fn required(&self) -> u32 {
        match (&self.role, self.one_more.is_empty()) {
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
