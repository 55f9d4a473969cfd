//! Slows down guessing of passwords: so many failures in so much time. Nobody can lock a name's owner
//! out: what strangers do wrong under a name counts against them, not against the places where its
//! owner came in before.

use crate::clock::At;
use crate::network::holder;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures of one name from one address: a person mistypes a few times; a guesser does not get far
/// with ten in five minutes.
const PAIR: Bound = Bound::new(10, 300);
/// Failures from one address, whatever names it tries: many people may sit behind one.
const ADDRESS: Bound = Bound::new(50, 300);
/// Failures of one name from anywhere: the slower bound against a guesser with many addresses. It
/// does not hold where the name's owner came in before.
const NAME: Bound = Bound::new(100, 3_600);
/// For so long an address counts as its owner's: people come back to a desk within a month.
const OWN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Keys remembered at once, of failures and of successes (a few MiB at most); beyond it the oldest are
/// forgotten.
const KEYS_MAX: usize = 8_192;
/// Names that nobody can have are long; they count as their beginning.
const NAME_CHARS_MAX: usize = 64;

struct Bound {
    failures: usize,
    window: Duration,
}

impl Bound {
    const fn new(failures: usize, secs: u64) -> Self {
        let window = Duration::from_secs(secs);
        Self { failures, window }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Pair(String, Option<Ipv6Addr>),
    Address(Ipv6Addr),
    Name(String),
}

impl Key {
    fn bound(&self) -> &'static Bound {
        match self {
            Self::Pair(..) => &PAIR,
            Self::Address(_) => &ADDRESS,
            Self::Name(_) => &NAME,
        }
    }
}

/// Remembers failures, in this process only: a restart forgets them, which costs an attacker more
/// than it gives.
#[derive(Default)]
pub struct Throttle(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    failures: HashMap<Key, Vec<At>>,
    /// Where a name's owner came in, and when last.
    own: HashMap<(String, Ipv6Addr), At>,
}

impl Memory {
    fn is_closed(&self, key: &Key, now: At) -> bool {
        let bound = key.bound();
        let times = self.failures.get(key).map_or(&[][..], Vec::as_slice);
        let recent = times.iter().filter(|at| now.since(**at) < bound.window);
        recent.count() >= bound.failures
    }
}

impl Throttle {
    /// Whether one more try may be made. Without an address it is made from a session of the name's
    /// owner, which strangers' failures do not touch.
    pub fn may_try(&self, name: &str, address: Option<IpAddr>, now: At) -> bool {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name_of(name);
        let from = address.map(holder);
        let is_own = from.is_none_or(|from| {
            let last = memory.own.get(&(name.clone(), from));
            last.is_some_and(|last| now.since(*last) < OWN)
        });
        let mut keys = vec![Key::Pair(name.clone(), from)];
        keys.extend(from.map(Key::Address));
        if !is_own {
            keys.push(Key::Name(name));
        }
        !keys.iter().any(|key| memory.is_closed(key, now))
    }

    /// A try failed.
    pub fn failed(&self, name: &str, address: Option<IpAddr>, now: At) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, from) = (name_of(name), address.map(holder));
        let mut keys = vec![Key::Pair(name.clone(), from)];
        if let Some(from) = from {
            keys.extend([Key::Address(from), Key::Name(name)]);
        }
        for key in keys {
            make_room(&mut memory.failures, |times| times.last().copied());
            let bound = key.bound();
            let times = memory.failures.entry(key).or_default();
            times.retain(|at| now.since(*at) < bound.window);
            if times.len() < bound.failures {
                times.push(now);
            }
        }
    }

    /// The name's owner came in: their own mistakes are forgiven, and the address is theirs.
    pub fn succeeded(&self, name: &str, address: Option<IpAddr>, now: At) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, from) = (name_of(name), address.map(holder));
        memory.failures.remove(&Key::Pair(name.clone(), from));
        if let Some(from) = from {
            make_room(&mut memory.own, |last| Some(*last));
            memory.own.insert((name, from), now);
        }
    }
}

fn name_of(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// Forgets the oldest when the memory is full.
fn make_room<K: Clone + Eq + Hash, V>(memory: &mut HashMap<K, V>, last: impl Fn(&V) -> Option<At>) {
    if memory.len() < KEYS_MAX {
        return;
    }
    let oldest = memory.iter().min_by_key(|(_, value)| last(value));
    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
        memory.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: At = At(1_000_000_000);

    fn v4(d: u8) -> Option<IpAddr> {
        Some(IpAddr::from([198, 51, 100, d]))
    }

    #[test]
    fn a_name_is_closed_for_an_address_after_ten_failures_and_opens_again() {
        let throttle = Throttle::default();
        for _ in 0..PAIR.failures {
            assert!(throttle.may_try("mara", v4(1), NOW));
            throttle.failed("mara", v4(1), NOW);
        }
        assert!(!throttle.may_try("mara", v4(1), NOW));
        assert!(throttle.may_try("ines", v4(1), NOW));
        assert!(throttle.may_try("mara", v4(1), NOW.plus(PAIR.window)));
    }

    #[test]
    fn a_stranger_does_not_lock_a_names_owner_out() {
        let throttle = Throttle::default();
        throttle.succeeded("mara", v4(1), NOW);
        for d in 10..=255 {
            throttle.failed("mara", v4(d), NOW);
        }
        assert!(
            throttle.may_try("mara", v4(1), NOW),
            "where she came in before"
        );
        assert!(
            throttle.may_try("mara", None, NOW),
            "from a session of hers"
        );
        assert!(
            !throttle.may_try("mara", v4(2), NOW),
            "a guesser with many addresses"
        );
        assert!(throttle.may_try("mara", v4(2), NOW.plus(NAME.window)));
    }

    #[test]
    fn an_address_is_closed_whatever_names_it_tries() {
        let throttle = Throttle::default();
        for n in 0..ADDRESS.failures {
            throttle.failed(&n.to_string(), v4(1), NOW);
        }
        assert!(!throttle.may_try("mara", v4(1), NOW));
        assert!(throttle.may_try("mara", v4(2), NOW));
    }

    #[test]
    fn a_success_forgives_the_mistakes_of_its_own_address_only() {
        let throttle = Throttle::default();
        for _ in 0..PAIR.failures {
            throttle.failed("mara", v4(1), NOW);
            throttle.failed("mara", v4(2), NOW);
        }
        throttle.succeeded("mara", v4(1), NOW);
        assert!(throttle.may_try("mara", v4(1), NOW));
        assert!(!throttle.may_try("mara", v4(2), NOW));
    }

    #[test]
    fn it_remembers_a_bounded_number() {
        let throttle = Throttle::default();
        for n in 0..KEYS_MAX + 10 {
            throttle.failed(&n.to_string(), None, At(n as i64));
            throttle.succeeded(
                "mara",
                Some(Ipv6Addr::from_bits((n as u128) << 64).into()),
                NOW,
            );
        }
        let memory = throttle.0.lock().unwrap();
        assert!(memory.failures.len() <= KEYS_MAX && memory.own.len() <= KEYS_MAX);
    }
}
