//! How many signatures a minute: a key in wrong hands is slow, and somebody notices.

use crate::clock::At;
use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(60);

/// At most so many in any minute.
pub(super) struct Rate {
    per_minute: usize,
    given: VecDeque<At>,
}

impl Rate {
    pub(super) fn new(per_minute: usize) -> Self {
        Self {
            per_minute,
            given: VecDeque::new(),
        }
    }

    /// Takes one; false when this minute's are used up.
    pub(super) fn take(&mut self, now: At) -> bool {
        while self
            .given
            .front()
            .is_some_and(|at| now.since(*at) >= WINDOW)
        {
            self.given.pop_front();
        }
        if self.given.len() >= self.per_minute {
            return false;
        }
        self.given.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_and_the_next_one_again() {
        let mut rate = Rate::new(2);
        let start = At(1_790_000_000_000_000);
        assert!(rate.take(start) && rate.take(start));
        assert!(!rate.take(start.plus(Duration::from_secs(59))));
        assert!(rate.take(start.plus(Duration::from_secs(60))));
    }
}
