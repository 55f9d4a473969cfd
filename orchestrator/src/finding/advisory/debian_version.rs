//! Debian's order of versions (deb-version(7)), as dpkg compares. Own code: the crate for it takes a
//! missing number for less than zero (`1.a` before `1.a0`), dpkg takes it for zero.

use std::cmp::Ordering;

/// `[epoch:]upstream[-revision]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DebianVersion<'a> {
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> DebianVersion<'a> {
    /// Parses a version; none when dpkg would refuse it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (epoch, rest) = match text.split_once(':') {
            // Parsing as a number alone would take a sign.
            Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => {
                (epoch.parse::<u32>().ok()?, rest)
            }
            Some(_) => return None,
            None => (0, text),
        };
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((_, "")) => return None,
            Some((upstream, revision)) => (upstream, revision),
            None => (rest, ""),
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'~');
        let upstream_good = |b: u8| good(b) || matches!(b, b'-' | b':');
        let sound = upstream.starts_with(|c: char| c.is_ascii_digit())
            && upstream.bytes().all(upstream_good)
            && revision.bytes().all(good);
        sound.then_some(Self {
            epoch,
            upstream,
            revision,
        })
    }

    pub(super) fn compare(&self, other: &DebianVersion<'_>) -> Ordering {
        let upstream = || part(self.upstream.as_bytes(), other.upstream.as_bytes());
        let revision = || part(self.revision.as_bytes(), other.revision.as_bytes());
        self.epoch
            .cmp(&other.epoch)
            .then_with(upstream)
            .then_with(revision)
    }
}

/// Text without digits, then a number, in turn until both are at their end.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (left, right) = (weight(a.first()), weight(b.first()));
            if left != right {
                return left.cmp(&right);
            }
            // Equal and neither a digit nor the end: the same character on both sides.
            if left == 0 {
                break;
            }
            (a, b) = (&a[1..], &b[1..]);
        }
        let (left, a_rest) = number(a);
        let (right, b_rest) = number(b);
        // Without leading zeroes the longer number is the larger one.
        let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

/// `~` before the end and before digits, then letters, then everything else.
fn weight(character: Option<&u8>) -> i32 {
    match character {
        Some(b'~') => -1,
        None => 0,
        Some(digit) if digit.is_ascii_digit() => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

/// The number at the start without its leading zeroes (none is zero), and the rest.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let zeroes = digits.iter().position(|b| *b != b'0');
    (&digits[zeroes.unwrap_or(digits.len())..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In dpkg's order; those in one group are equal.
    const ASCENDING: [&[&str]; 16] = [
        &["1.0~~"],
        &["1.0~rc1"],
        &["1.0~rc1+b1"],
        &["1.0", "1.00", "0:1.0", "1.0-0", "1."],
        &["1.0-1~deb12u1"],
        &["1.0-1"],
        &["1.0-1+b1"],
        &["1.0-1+deb12u1"],
        &["1.0-1+deb12u9"],
        &["1.0-1+deb12u10"],
        &["1.0a"],
        &["1.0+dfsg"],
        &["1.0.0", "1.0."],
        &["1.a", "1.a0"],
        &["1:0.1"],
        &["2:0"],
    ];

    #[test]
    fn versions_stand_in_dpkgs_order() {
        for (i, group) in ASCENDING.iter().enumerate() {
            for (j, other) in ASCENDING.iter().enumerate() {
                for (a, b) in group
                    .iter()
                    .flat_map(|a| other.iter().map(move |b| (*a, *b)))
                {
                    let (left, right) = (DebianVersion::parse(a), DebianVersion::parse(b));
                    let order = left.unwrap().compare(&right.unwrap());
                    assert_eq!(order, i.cmp(&j), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn what_dpkg_refuses_is_refused() {
        for text in [
            "",
            "a1",
            "1.0 ",
            "1.0-",
            "-1:1",
            "+1:1",
            "x:1",
            "99999999999:1",
            "1_0",
            "1.0-a:b",
        ] {
            assert!(DebianVersion::parse(text).is_none(), "{text}");
        }
    }

    /// Against the program itself, where there is one.
    #[test]
    fn dpkg_agrees() {
        let dpkg = |a: &str, relation: &str, b: &str| {
            let status = std::process::Command::new("dpkg")
                .args(["--compare-versions", a, relation, b])
                .status();
            status.map(|status| status.success())
        };
        if dpkg("1", "eq", "1").is_err() {
            return;
        }
        let all: Vec<&str> = ASCENDING
            .iter()
            .flat_map(|group| group.iter().copied())
            .collect();
        for pair in all.windows(2) {
            let [a, b] = pair else { continue };
            let (left, right) = (DebianVersion::parse(a), DebianVersion::parse(b));
            let relation = match left.unwrap().compare(&right.unwrap()) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            assert!(dpkg(a, relation, b).unwrap(), "{a} {relation} {b}");
        }
    }
}
