//! Folds a flood of refusals: pure, with the time given. The first of each kind in a minute stand
//! alone; the rest are counted by kind and network.

use super::state::{HookId, RefusalReason};
use crate::clock::At;
use std::collections::HashMap;
use std::net::Ipv6Addr;

/// So many of one (hook, reason, minute) stand alone and before their answer.
const STANDING_MAX: u32 = 20;
/// So many kinds are told apart in a minute; memory is bounded by it.
const KINDS_MAX: usize = 256;
const MINUTE_MICROS: i64 = 60_000_000;

/// One kind of refusal in one minute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kind {
    /// The minute, counted since 1970 UTC.
    pub(super) minute: i64,
    /// The hook; none: unknown.
    pub(super) hook: Option<HookId>,
    /// Why.
    pub(super) reason: RefusalReason,
    /// The /24 or /64 that they came from; none: several.
    pub(super) network: Option<Ipv6Addr>,
}

impl Kind {
    /// When its minute ended.
    pub(super) fn ended_at(&self) -> At {
        At((self.minute + 1) * MINUTE_MICROS)
    }
}

/// The counts of the minutes that are not written yet.
#[derive(Default)]
pub(super) struct Folding {
    minute: i64,
    standing: HashMap<(Option<HookId>, RefusalReason), u32>,
    counts: HashMap<Kind, u64>,
}

impl Folding {
    /// Whether this refusal stands alone.
    pub(super) fn stands(&mut self, at: At, hook: Option<&HookId>, reason: RefusalReason) -> bool {
        let minute = minute_of(at);
        if minute != self.minute {
            self.minute = minute;
            self.standing.clear();
        }
        let count = self.standing.entry((hook.cloned(), reason)).or_insert(0);
        *count = count.saturating_add(1);
        *count <= STANDING_MAX
    }

    /// Counts one that does not.
    pub(super) fn count(
        &mut self,
        at: At,
        hook: Option<&HookId>,
        reason: RefusalReason,
        address: Ipv6Addr,
    ) {
        let minute = minute_of(at);
        let kind = Kind {
            minute,
            hook: hook.cloned(),
            reason,
            network: Some(network(address)),
        };
        let kinds = self.counts.keys().filter(|k| k.minute == minute).count();
        let kind = if kinds < KINDS_MAX || self.counts.contains_key(&kind) {
            kind
        } else {
            Kind {
                minute,
                hook: None,
                reason: RefusalReason::Other,
                network: None,
            }
        };
        *self.counts.entry(kind).or_insert(0) += 1;
    }

    /// Takes the counts of the minutes that ended before `now`; of all of them at the stop.
    pub(super) fn take(&mut self, now: Option<At>) -> Vec<(Kind, u64)> {
        let ended = |kind: &Kind| now.is_none_or(|now| kind.ended_at() <= now);
        let mut taken: Vec<_> = self.counts.extract_if(|kind, _| ended(kind)).collect();
        taken.sort_unstable();
        taken
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&mut self, counts: Vec<(Kind, u64)>) {
        for (kind, count) in counts {
            *self.counts.entry(kind).or_insert(0) += count;
        }
    }
}

fn minute_of(at: At) -> i64 {
    at.0.div_euclid(MINUTE_MICROS)
}

/// The /24 of an IPv4 address (which is mapped), the /64 of an IPv6 one.
fn network(address: Ipv6Addr) -> Ipv6Addr {
    let mut octets = address.octets();
    if address.to_ipv4_mapped().is_some() {
        octets[15] = 0;
    } else {
        octets[8..].fill(0);
    }
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const NOON: At = At(1_790_000_040_000_000);

    fn v4(c: u8, d: u8) -> Ipv6Addr {
        Ipv4Addr::new(198, 51, c, d).to_ipv6_mapped()
    }

    fn refuse(folding: &mut Folding, at: At, address: Ipv6Addr) -> bool {
        let reason = RefusalReason::UnknownHook;
        let stands = folding.stands(at, None, reason);
        if !stands {
            folding.count(at, None, reason, address);
        }
        stands
    }

    #[test]
    fn the_first_twenty_of_a_minute_stand_alone_and_the_rest_are_counted_by_network() {
        let mut folding = Folding::default();
        let standing = (0..100).filter(|i| refuse(&mut folding, NOON, v4(100, *i)));
        assert_eq!(standing.count(), 20);
        for _ in 0..7 {
            refuse(&mut folding, NOON, v4(101, 1));
        }
        assert_eq!(folding.take(Some(NOON)), [], "the minute is not over");
        let next = NOON.plus(std::time::Duration::from_secs(60));
        assert!(refuse(&mut folding, next, v4(100, 1)), "a new minute");
        let taken = folding.take(Some(next));
        let counts: Vec<_> = taken.iter().map(|(k, n)| (k.network, *n)).collect();
        assert_eq!(counts, [(Some(v4(100, 0)), 80), (Some(v4(101, 0)), 7)]);
        assert_eq!(folding.take(None), []);
    }

    #[test]
    fn more_kinds_than_are_told_apart_become_other_and_none_is_lost() {
        let mut folding = Folding::default();
        for i in 0..5_000_u32 {
            let address = Ipv6Addr::from((u128::from(i) << 64) | (0x2001_u128 << 112));
            folding.count(NOON, None, RefusalReason::UnknownHook, address);
        }
        let taken = folding.take(None);
        assert_eq!(taken.len(), KINDS_MAX + 1);
        assert_eq!(taken.iter().map(|(_, n)| n).sum::<u64>(), 5_000);
        let other = taken.iter().find(|(k, _)| k.reason == RefusalReason::Other);
        assert_eq!(other.unwrap().1, 5_000 - KINDS_MAX as u64);
        folding.put_back(taken.clone());
        assert_eq!(folding.take(None), taken);
    }
}
