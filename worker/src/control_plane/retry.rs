//! How long to wait before a request is repeated.

use std::time::Duration;

/// The first pause: a reply that was lost is repeated at once for a person.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause: an orchestrator that is back is noticed within this time.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// Doubling pauses with jitter, so that many workers do not come back at the same instant.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_FIRST }
    }
}

impl Backoff {
    /// The next pause: between half and the whole of what is due.
    pub fn pause(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(PAUSE_LONGEST);
        let mut byte = [0; 1];
        // Without randomness the pauses are merely regular.
        let _ = getrandom::fill(&mut byte);
        due / 2 + due * u32::from(byte[0]) / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= PAUSE_FIRST);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_LONGEST));
        assert!(pauses[19] >= PAUSE_LONGEST / 2);
    }
}
