//! Patterns over refs, paths and registries: `*` stays within a part, `**` crosses slashes.

use crate::complaint::{Code, Complaints, Spanned, quoted};
use crate::image::Repository;
use crate::language::matching::glob;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Wildcards and braces in one pattern: each costs time at every match.
const SPECIALS_MAX: usize = 24;

/// The text cannot be used as a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

/// What is wrong with a pattern over refs or paths.
fn fault(text: &str) -> Option<String> {
    let specials = text.bytes().filter(|b| b"*?[{".contains(b)).count();
    if specials > SPECIALS_MAX {
        Some(format!("a pattern has at most {SPECIALS_MAX} wildcards"))
    } else if text.starts_with('!') {
        Some("patterns cannot be turned round with `!`".to_owned())
    } else if text.starts_with('/') {
        Some("a pattern does not begin with `/`".to_owned())
    } else {
        glob(text).err()
    }
}

/// Reads patterns, complaining about each that cannot be used.
pub(crate) fn patterns(
    texts: Vec<Spanned<String>>,
    complaints: &mut Complaints<'_>,
) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        let Some(fault) = fault(&text.value) else {
            found.push(text.value);
            continue;
        };
        let message = format!("{} is not a pattern", quoted(&text.value));
        complaints
            .error(Code::BadPattern, text.span, message, fault)
            .help("`*` stands for any text without `/`, `**` for any text");
    }
    found
}

/// Images that may be named: `registry.example/base/*`. The registry itself has no wildcard.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryPattern(String);

impl RegistryPattern {
    /// Parses `registry[:port]/path` where parts of the path may hold `*` or be `**`.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let fault = |text: &str| Err(InvalidPattern(text.to_owned()));
        let Some((registry, path)) = text.split_once('/') else {
            return fault("the registry and what may be used of it, `registry.example/base/*`");
        };
        if registry.contains('*') {
            return fault("the registry's own name has no wildcard");
        }
        if path
            .split('/')
            .any(|part| part != "**" && part.contains("**"))
        {
            return fault("`**` stands alone between slashes");
        }
        if path.matches('*').count() > SPECIALS_MAX {
            return fault("too many wildcards");
        }
        // With its wildcards filled in it has to be a repository.
        match Repository::parse(&text.replace('*', "a")) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(InvalidPattern(error.to_string())),
        }
    }

    /// Whether this repository may be used.
    pub fn matches(&self, repository: &Repository) -> bool {
        parts_match(
            &self.parts(),
            &repository.as_str().split('/').collect::<Vec<_>>(),
        )
    }

    /// Whether anything at or below this repository may be used.
    pub fn reaches_into(&self, prefix: &Repository) -> bool {
        parts_reach(
            &self.parts(),
            &prefix.as_str().split('/').collect::<Vec<_>>(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Vec<&str> {
        self.0.split('/').collect()
    }
}

fn parts_match(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern, parts) {
        ([], rest) => rest.is_empty(),
        (["**"], rest) => !rest.is_empty(),
        (["**", after @ ..], rest) => (0..=rest.len()).any(|n| parts_match(after, &rest[n..])),
        ([first, after @ ..], [part, rest @ ..]) => {
            part_matches(first, part) && parts_match(after, rest)
        }
        (_, []) => false,
    }
}

fn parts_reach(pattern: &[&str], prefix: &[&str]) -> bool {
    match (pattern, prefix) {
        (_, []) | (["**", ..], _) => true,
        ([], _) => false,
        ([first, after @ ..], [part, rest @ ..]) => {
            part_matches(first, part) && parts_reach(after, rest)
        }
    }
}

/// `*` within one part, without going back further than the last star.
fn part_matches(pattern: &str, part: &str) -> bool {
    let (pattern, part) = (pattern.as_bytes(), part.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < part.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&part[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

impl TryFrom<String> for RegistryPattern {
    type Error = InvalidPattern;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<RegistryPattern> for String {
    fn from(pattern: RegistryPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for RegistryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegistryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::patterns_match;

    #[test]
    fn one_star_stays_in_its_part_and_two_cross() {
        for (pattern, text, fits) in [
            ("main", "main", true),
            ("release/*", "release/1", true),
            ("release/*", "release/1/2", false),
            ("release/**", "release/1/2", true),
            ("**", "a/b/c", true),
            ("docs/**", "docs/a/b.md", true),
            ("docs/**", "src/docs/a", false),
            ("**/*.md", "a/b.md", true),
            ("*.md", "a/b.md", false),
            ("v[0-9]*", "v1.2", true),
            ("{main,next}", "next", true),
        ] {
            assert_eq!(patterns_match(&[pattern], text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused() {
        let many = "*a".repeat(25);
        for bad in ["", "!main", "/main", "[a", "{a", many.as_str()] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_registry_pattern_names_its_registry() {
        let known = |p: &str, r: &str| {
            RegistryPattern::parse(p)
                .unwrap()
                .matches(&Repository::parse(r).unwrap())
        };
        assert!(known("r.example/base/*", "r.example/base/python"));
        assert!(!known("r.example/base/*", "r.example/base/python/slim"));
        assert!(known("r.example/**", "r.example/base/python/slim"));
        assert!(known("r.example/base/py*n", "r.example/base/python"));
        assert!(!known(
            "r.example/base/python",
            "r.example.evil/base/python"
        ));
        for bad in [
            "*",
            "*/a",
            "python",
            "r.example/",
            "r.example/a**",
            "R.example/A/*",
        ] {
            assert!(RegistryPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_reaches_into_a_prefix_it_covers_or_lies_in() {
        let reaches = |p: &str, r: &str| {
            RegistryPattern::parse(p)
                .unwrap()
                .reaches_into(&Repository::parse(r).unwrap())
        };
        assert!(reaches("r.example/**", "r.example/q/shop"));
        assert!(reaches("r.example/q/shop/*", "r.example/q/shop"));
        assert!(reaches("r.example/q/*", "r.example/q/shop"));
        assert!(!reaches("r.example/*", "r.example/q/shop"));
        assert!(!reaches("r.example/base/*", "r.example/q/shop"));
    }
}
