//! What makes two findings of different runs the same one.
//!
//! A finding in a file is (tool, rule, path, what was matched, which of its equals in the file). No
//! line number goes in, so ten lines above change nothing; equal hits in one file differ by their
//! ordinal. What was matched is a hash of the snippet without its white space; where a tool gives no
//! snippet (hadolint), of its message. For a tool that looks for secrets it is only the *shape* of
//! the match (lines and columns it spans): a hash of the secret would let anybody who sees the
//! fingerprint check their guesses.
//!
//! A finding in a package is (advisory, package without its version, which of its installed
//! versions): a waiver outlives a rebuild that brings another version with the same hole. The
//! advisory's name is the smallest CVE among its aliases, else the smallest GHSA, else its own id,
//! so that it does not depend on which database was imported.

use contract::digest::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;

/// A part of every fingerprint; another way to compute them takes another number.
const VERSION: &str = "sallyport-finding-1";

/// SHA-256 over what identifies a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        Digest::parse_hex(hex).ok().map(Self)
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// What was matched, as far as it may be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Matched {
    /// SHA-256 of text that is no secret, without its white space.
    Text([u8; 32]),
    /// How far a secret reaches.
    Shape {
        /// Lines that it spans.
        lines: u32,
        /// Columns that it spans, when it stands in one line.
        columns: Option<u32>,
    },
}

impl Matched {
    /// Remembers text by its hash; moved indentation does not count.
    pub fn text(text: &str) -> Self {
        let mut hash = Sha256::new();
        for word in text.split_whitespace() {
            hash.update(word.as_bytes());
            hash.update([b' ']);
        }
        Self::Text(hash.finalize().into())
    }
}

/// Identity of a finding in a file, before its equals are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InFile {
    /// The tool.
    pub tool: String,
    /// The rule.
    pub rule: String,
    /// The normalised path; empty when the tool gave none.
    pub path: String,
    /// What was matched.
    pub matched: Matched,
}

/// Identity of a finding in a package, before its equals are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InPackage {
    /// The advisory's canonical id.
    pub advisory: String,
    /// Ecosystem and name.
    pub package: String,
}

/// Hands out fingerprints; give it a report's findings in the order of their places.
#[derive(Debug, Default)]
pub struct Ordinals {
    in_file: HashMap<InFile, u32>,
    in_package: HashMap<InPackage, u32>,
}

impl Ordinals {
    /// The fingerprint of the next finding with this identity in a file.
    pub fn in_file(&mut self, identity: InFile) -> Fingerprint {
        let InFile {
            tool,
            rule,
            path,
            matched,
        } = &identity;
        let mut parts = Parts::new("file");
        parts.text(tool).text(rule).text(path);
        match matched {
            Matched::Text(hash) => parts.text("text").bytes(hash),
            Matched::Shape { lines, columns } => {
                parts.text("shape").number(u64::from(*lines));
                parts.number(columns.map_or(0, u64::from))
            }
        };
        parts.finish(next(&mut self.in_file, identity))
    }

    /// The fingerprint of the next finding with this identity in a package.
    pub fn in_package(&mut self, identity: InPackage) -> Fingerprint {
        let InPackage { advisory, package } = &identity;
        let mut parts = Parts::new("package");
        parts.text(advisory).text(package);
        parts.finish(next(&mut self.in_package, identity))
    }
}

fn next<K: Eq + std::hash::Hash>(seen: &mut HashMap<K, u32>, identity: K) -> u32 {
    let count = seen.entry(identity).or_insert(0);
    let ordinal = *count;
    *count = count.saturating_add(1);
    ordinal
}

/// Length-prefixed parts, so that no two lists of parts give the same bytes.
struct Parts(Sha256);

impl Parts {
    fn new(kind: &str) -> Self {
        let mut parts = Self(Sha256::new());
        parts.text(VERSION).text(kind);
        parts
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(number.to_be_bytes());
        self
    }

    fn finish(mut self, ordinal: u32) -> Fingerprint {
        self.number(u64::from(ordinal));
        Fingerprint(Digest::from_bytes(self.0.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(path: &str, text: &str) -> InFile {
        InFile {
            tool: "t".to_owned(),
            rule: "r".to_owned(),
            path: path.to_owned(),
            matched: Matched::text(text),
        }
    }

    #[test]
    fn equals_differ_by_their_ordinal_and_repeat_in_the_next_run() {
        let run = || {
            let mut ordinals = Ordinals::default();
            [
                ordinals.in_file(hit("a", "x")),
                ordinals.in_file(hit("a", "x")),
                ordinals.in_file(hit("b", "x")),
                ordinals.in_file(hit("a", "y")),
            ]
        };
        let first = run();
        assert_eq!(first, run());
        let mut distinct = first.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn indentation_does_not_count() {
        assert_eq!(Matched::text("  a  =\t1\n"), Matched::text("a = 1"));
        assert_ne!(Matched::text("a = 1"), Matched::text("a = 2"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let mut ordinals = Ordinals::default();
        let one = ordinals.in_package(InPackage {
            advisory: "ab".to_owned(),
            package: "c".to_owned(),
        });
        let other = ordinals.in_package(InPackage {
            advisory: "a".to_owned(),
            package: "bc".to_owned(),
        });
        assert_ne!(one, other);
    }

    #[test]
    fn a_fingerprint_is_read_back() {
        let one = Ordinals::default().in_file(hit("a", "x"));
        assert_eq!(Fingerprint::parse(&one.hex()), Some(one));
        assert_eq!(Fingerprint::parse("abc"), None);
    }
}
