//! How well an engine holds containers apart, as a word that programs compare.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A level becomes part of a URI.
const LEVEL_BYTES_MAX: usize = 64;
/// Runtimes whose containers share the host's kernel: no other is held to be less.
const SHARED_KERNEL: [&str; 2] = [RUNC, "crun"];
const RUNC: &str = "runc";
const USER_NAMESPACE: &str = "-userns";
const ROOTLESS: &str = "-rootless";
const OPEN: &str = "-open";

/// `docker-<runtime>`, then `-userns` or `-rootless` or neither, then `-open` where the engine is
/// somebody else's, whose own network is not known to be closed. It has three sides, the runtime, whose
/// root a container's root is and what the engine itself reaches, and each may be the better one of two
/// levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Level {
    runtime: String,
    users: Users,
    reach: Reach,
}

/// Whose root a container's root is; the better one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Users {
    /// The host's.
    Same,
    /// Nobody's, by a user namespace.
    Apart,
    /// Nobody's, and the engine's neither.
    Rootless,
}

/// What the engine itself reaches, which fetches for a build whatever its Dockerfile names; the better
/// one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nobody knows.
    Open,
    /// Its registries and nothing else.
    Closed,
}

/// A text that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a level of isolation: wanted `docker-<runtime>`, then `-userns` or `-rootless` or neither, then `-open` or nothing, of a-z, 0-9, hyphen, full stop and underscore"
)]
pub struct LevelError;

impl Level {
    /// The most that the worker's own engine has today: what a token grants when nobody says otherwise.
    pub fn of_our_own_engine() -> Self {
        Self {
            runtime: RUNC.to_owned(),
            users: Users::Apart,
            reach: Reach::Closed,
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, LevelError> {
        let good = text.len() <= LEVEL_BYTES_MAX
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
        let rest = text.strip_prefix("docker-").filter(|_| good);
        let rest = rest.ok_or(LevelError)?;
        let (rest, reach) = match rest.strip_suffix(OPEN) {
            Some(rest) => (rest, Reach::Open),
            None => (rest, Reach::Closed),
        };
        let (runtime, users) = if let Some(runtime) = rest.strip_suffix(USER_NAMESPACE) {
            (runtime, Users::Apart)
        } else if let Some(runtime) = rest.strip_suffix(ROOTLESS) {
            (runtime, Users::Rootless)
        } else {
            (rest, Users::Same)
        };
        // A second suffix would be read as the first when a level that was lowered is read again.
        let is_suffixed = [USER_NAMESPACE, ROOTLESS, OPEN]
            .iter()
            .any(|suffix| runtime.ends_with(suffix));
        if runtime.is_empty() || runtime.starts_with('-') || runtime.ends_with('-') || is_suffixed {
            return Err(LevelError);
        }
        Ok(Self {
            runtime: runtime.to_owned(),
            users,
            reach,
        })
    }

    /// What is left of a level that somebody claims when no more than `granted` is believed: of each side
    /// the lesser. Two runtimes that are not known to share a kernel cannot be compared: the least is left.
    pub fn at_most(&self, granted: &Self) -> Self {
        let shares = |level: &Self| SHARED_KERNEL.contains(&level.runtime.as_str());
        let runtime = if shares(self) || self.runtime == granted.runtime {
            &self.runtime
        } else if shares(granted) {
            &granted.runtime
        } else {
            RUNC
        };
        Self {
            runtime: runtime.to_owned(),
            users: self.users.min(granted.users),
            reach: self.reach.min(granted.reach),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = match self.users {
            Users::Same => "",
            Users::Apart => USER_NAMESPACE,
            Users::Rootless => ROOTLESS,
        };
        let reach = match self.reach {
            Reach::Open => OPEN,
            Reach::Closed => "",
        };
        write!(f, "docker-{}{users}{reach}", self.runtime)
    }
}

impl std::str::FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Level {
    type Error = LevelError;

    fn try_from(text: String) -> Result<Self, LevelError> {
        Self::parse(&text)
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn a_level_is_a_plain_word_of_three_sides() {
        for good in [
            "docker-runc",
            "docker-runc-userns",
            "docker-kata-runtime-rootless",
            "docker-io.containerd.kata.v2",
            "docker-runc-open",
            "docker-runc-userns-open",
        ] {
            assert_eq!(Level::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(Level::of_our_own_engine().to_string(), "docker-runc-userns");
        for bad in [
            "",
            "docker-",
            "docker--userns",
            "scripted",
            "docker-Runc",
            "docker-runc/../x",
            "docker-runc@v1",
            "docker-runc-userns-userns",
            "docker-runsc-userns-rootless",
            "docker-runc-open-userns",
            "docker-runc-open-open",
            &format!("docker-{}", "a".repeat(80)),
        ] {
            assert!(Level::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_claimed_is_lowered_to_what_was_granted_and_never_raised() {
        let level = |text| Level::parse(text).unwrap();
        for (claimed, granted, left) in [
            (
                "docker-runc-userns",
                "docker-runc-userns",
                "docker-runc-userns",
            ),
            ("docker-runc", "docker-runc-userns", "docker-runc"),
            (
                "docker-runc-userns-open",
                "docker-runc-userns",
                "docker-runc-userns-open",
            ),
            ("docker-runc-userns", "docker-runc-open", "docker-runc-open"),
            ("docker-runc-userns", "docker-runc", "docker-runc"),
            (
                "docker-runc-rootless",
                "docker-runc-userns",
                "docker-runc-userns",
            ),
            ("docker-kata-qemu", "docker-runc", "docker-runc"),
            ("docker-kata-qemu", "docker-runsc", "docker-runc"),
            ("docker-kata-qemu", "docker-kata-qemu", "docker-kata-qemu"),
            ("docker-runsc", "docker-runc-userns", "docker-runc"),
            (
                "docker-runsc-userns",
                "docker-runc-userns",
                "docker-runc-userns",
            ),
            ("docker-runsc-userns", "docker-runsc", "docker-runsc"),
            (
                "docker-crun-userns",
                "docker-runsc-userns",
                "docker-crun-userns",
            ),
        ] {
            let lowered = level(claimed).at_most(&level(granted));
            assert_eq!(lowered, level(left), "{claimed} of {granted}");
        }
    }
}
