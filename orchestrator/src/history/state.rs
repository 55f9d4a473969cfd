//! What people ask the trigger history for.

use crate::clock::At;
use crate::network::Network;
use contract::digest::Digest;

/// The longest text that is looked for: a delivery's id has at most 128 characters, a ref 255.
const SEARCH_CHARS_MAX: usize = 255;
/// Fewer digits of a commit say nothing.
const COMMIT_DIGITS_MIN: usize = 7;
/// SHA-256, as git writes it.
const COMMIT_DIGITS_MAX: usize = 64;

/// The place in a list from which it goes on: what comes after is older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When (µs since 1970 UTC).
    pub at: i64,
    /// The row's id, for rows of one moment.
    pub id: String,
}

impl Cursor {
    /// Before everything.
    pub fn newest() -> Self {
        Self {
            at: i64::MAX,
            id: String::new(),
        }
    }
}

/// What became of a request at a hook. In the order in which one stands for several refs: a push that
/// started something started something, whatever else it skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It started a run.
    Start,
    /// It started nothing.
    Skip,
    /// It waits for somebody.
    Hold,
    /// Nobody has decided yet.
    Waiting,
    /// It was not accepted.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Skip,
        Self::Hold,
        Self::Waiting,
        Self::Refused,
    ];

    /// The word in addresses and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Skip => "skip",
            Self::Hold => "hold",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What became of it, and the stable reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub outcome: Outcome,
    /// Why; empty while nobody has decided.
    pub reason: String,
}

/// A text that nothing can be found by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing is found by this: wanted a digest (`sha256:` and 64 digits), at least 7 digits of a commit, a run's number, a delivery's id, a hook's id, a branch or a tag"
)]
pub struct NotSearchable;

/// A text to look for, as everything that it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub(super) exact: String,
    pub(super) commit: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) run: Option<i64>,
}

impl Search {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Result<Self, NotSearchable> {
        if text.is_empty() || text.chars().count() > SEARCH_CHARS_MAX {
            return Err(NotSearchable);
        }
        let lower = text.to_ascii_lowercase();
        let digits = COMMIT_DIGITS_MIN..=COMMIT_DIGITS_MAX;
        let is_commit =
            digits.contains(&lower.len()) && lower.bytes().all(|b| b.is_ascii_hexdigit());
        let digest = Digest::parse(&lower).ok();
        if lower.starts_with("sha256:") && digest.is_none() {
            return Err(NotSearchable);
        }
        Ok(Self {
            exact: text.to_owned(),
            commit: is_commit.then_some(lower),
            digest: digest.map(|digest| digest.to_string()),
            run: text.strip_prefix('#').unwrap_or(text).parse().ok(),
        })
    }
}

/// What a person wants to see of the trigger history. The default is all of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of one project.
    pub project_id: Option<String>,
    /// The sender's word for what happened.
    pub event: Option<String>,
    /// Who, as the sender claims.
    pub sender: Option<String>,
    /// From these addresses. A folded refusal counts when its network can hold one of them.
    pub network: Option<Network>,
    /// What became of it, for one of its refs.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Option<String>,
    /// Not before.
    pub from: Option<At>,
    /// Before this moment.
    pub until: Option<At>,
    /// The state, or the cause of the end, of a run that it started.
    pub run: Option<String>,
    /// A digest, commit, run, id or ref.
    pub search: Option<Search>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_as_everything_that_it_can_be() {
        let commit = Search::parse("9F3C2AB").unwrap();
        assert_eq!(commit.commit.as_deref(), Some("9f3c2ab"));
        assert_eq!(commit.exact, "9F3C2AB");
        let number = Search::parse("#1842").unwrap();
        assert_eq!((number.run, number.commit), (Some(1842), None));
        let both = Search::parse("1234567").unwrap();
        assert!(both.run.is_some() && both.commit.is_some());
        let digest = format!("sha256:{}", "Ab".repeat(32));
        let found = Search::parse(&digest).unwrap();
        assert_eq!(
            found.digest.as_deref(),
            Some(digest.to_ascii_lowercase().as_str())
        );
        assert_eq!(Search::parse("release/1.2").unwrap().commit, None);
    }

    #[test]
    fn what_can_find_nothing_is_said_so() {
        for text in ["", "sha256:12", &"x".repeat(256)] {
            assert_eq!(Search::parse(text), Err(NotSearchable), "{text}");
        }
    }

    #[test]
    fn outcomes_are_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }
}
