//! When an item that could not be done is tried again, and when it is given up: pure.

use crate::clock::At;
use std::time::Duration;

/// Pauses after each failed attempt, in seconds; the last one is repeated. Ten attempts are about an hour.
const PAUSES_SECS: [u64; 5] = [5, 15, 60, 300, 600];
/// After so many attempts it is given up, visibly.
pub const ATTEMPTS_MAX: i64 = 10;
/// What is kept of a problem: the beginning of its chain says which operation.
const PROBLEM_CHARS_MAX: usize = 1_000;

/// When to try again after the `failed`-th failed attempt (the first is 1); none: no more.
pub fn next_attempt(failed: i64, now: At) -> Option<At> {
    if failed >= ATTEMPTS_MAX {
        return None;
    }
    let nth = usize::try_from(failed - 1).unwrap_or(0);
    let pause = PAUSES_SECS[nth.min(PAUSES_SECS.len() - 1)];
    Some(now.plus(Duration::from_secs(pause)))
}

/// An error with everything that led to it, on one line and cut, as rows and pages hold it.
pub fn problem(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        chain = format!("{chain}: {inner}");
        source = inner.source();
    }
    let shown = chain.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(PROBLEM_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_take_about_an_hour_and_then_it_is_over() {
        let mut at = At(0);
        for failed in 1..ATTEMPTS_MAX {
            at = next_attempt(failed, at).unwrap();
        }
        assert_eq!(at.seconds(), 3_380);
        assert_eq!(next_attempt(ATTEMPTS_MAX, at), None);
    }

    #[test]
    fn a_problem_is_one_line_and_not_endless() {
        let inner = std::io::Error::other("x\ny".repeat(1_000));
        let text = problem(&crate::source::SourceError::Archive {
            commit: contract::digest::CommitId::parse(&"ab".repeat(20)).unwrap(),
            source: inner,
        });
        assert!(text.starts_with("archive commit abab"), "{text}");
        assert_eq!(text.chars().count(), PROBLEM_CHARS_MAX);
        assert!(!text.contains('\n'));
    }
}
