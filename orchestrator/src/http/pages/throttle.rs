//! Slows down guessing of passwords: so many failures a name and an address in so much time.

use crate::clock::At;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures are forgotten after this long.
const WINDOW: Duration = Duration::from_secs(300);
/// A person mistypes a few times; a guesser does not get far with ten in five minutes.
const FAILURES_PER_NAME: usize = 10;
/// Many people may sit behind one address.
const FAILURES_PER_ADDRESS: usize = 50;
/// Names and addresses remembered at once (a few hundred KiB); beyond it the oldest are forgotten.
const KEYS_MAX: usize = 8_192;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Address(IpAddr),
}

/// Remembers failures, in this process only: a restart forgets them, which costs an attacker more
/// than it gives.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Key, Vec<At>>>);

impl Throttle {
    /// Whether one more try may be made.
    pub fn may_try(&self, name: &str, address: Option<IpAddr>, now: At) -> bool {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |key: &Key| {
            let times = failures.get(key).map_or(&[][..], Vec::as_slice);
            times.iter().filter(|at| now.since(**at) < WINDOW).count()
        };
        let of_address = address.map_or(0, |address| recent(&Key::Address(address)));
        recent(&name_key(name)) < FAILURES_PER_NAME && of_address < FAILURES_PER_ADDRESS
    }

    /// A try failed.
    pub fn failed(&self, name: &str, address: Option<IpAddr>, now: At) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= KEYS_MAX {
            failures.retain(|_, times| times.iter().any(|at| now.since(*at) < WINDOW));
        }
        if failures.len() >= KEYS_MAX {
            let oldest = failures
                .iter()
                .min_by_key(|(_, times)| times.last().copied());
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                failures.remove(&oldest);
            }
        }
        let keys = [Some(name_key(name)), address.map(Key::Address)];
        for key in keys.into_iter().flatten() {
            let times = failures.entry(key).or_default();
            times.retain(|at| now.since(*at) < WINDOW);
            if times.len() < FAILURES_PER_ADDRESS {
                times.push(now);
            }
        }
    }

    /// The name's owner came in: their own mistakes are forgiven.
    pub fn succeeded(&self, name: &str) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&name_key(name));
    }
}

/// Names that nobody can have are long; they count as their beginning.
fn name_key(name: &str) -> Key {
    Key::Name(name.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_closed_after_ten_failures_and_opens_again() {
        let throttle = Throttle::default();
        let now = At(1_000_000_000);
        for _ in 0..FAILURES_PER_NAME {
            assert!(throttle.may_try("mara", None, now));
            throttle.failed("mara", None, now);
        }
        assert!(!throttle.may_try("mara", None, now));
        assert!(throttle.may_try("ines", None, now));
        assert!(throttle.may_try("mara", None, now.plus(WINDOW)));
    }

    #[test]
    fn an_address_is_closed_whatever_names_it_tries() {
        let throttle = Throttle::default();
        let (now, here) = (At(1), Some(IpAddr::from([127, 0, 0, 1])));
        for n in 0..FAILURES_PER_ADDRESS {
            throttle.failed(&n.to_string(), here, now);
        }
        assert!(!throttle.may_try("mara", here, now));
    }

    #[test]
    fn it_remembers_a_bounded_number() {
        let throttle = Throttle::default();
        for n in 0..KEYS_MAX + 10 {
            throttle.failed(&n.to_string(), None, At(n as i64));
        }
        assert!(throttle.0.lock().unwrap().len() <= KEYS_MAX);
    }
}
