//! Names of projects, steps, images, environments and workers (one alphabet for all of them).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name: a DNS label is 63 bytes, and a container's host name `<step>-<something>`
/// must still fit; 39 is also the longest account name on GitHub.
pub const NAME_BYTES_MAX: usize = 39;

/// `[a-z]([a-z0-9-]{0,37}[a-z0-9])?`: lower-case letter first, then letters, digits and inner
/// hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: 1 to 39 lower-case letters, digits and inner hyphens, a letter first"
)]
pub struct InvalidName(pub String);

impl Name {
    /// Parses a name; the only way to make one.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let good = bytes.len() <= NAME_BYTES_MAX
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-')
            && bytes.iter().all(inner);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(shown(text)))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Foreign text in an error is cut: it may be megabytes.
fn shown(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX + 1).collect()
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_lower_case_label() {
        let longest = format!("a{}", "b".repeat(38));
        for good in ["a", "a1", "web-api", longest.as_str()] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        let too_long = format!("{longest}b");
        for bad in [
            "",
            "1a",
            "-a",
            "a-",
            "A",
            "a_b",
            "a/b",
            "é",
            " a",
            too_long.as_str(),
        ] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
