//! Ecosystems that can be matched: how their packages are named and how their versions compare.

use super::debian_version::DebianVersion;
use packageurl::PackageUrl;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr as _;

/// Characters of a version that is compared; the longest in real advisories has about 60.
pub const VERSION_CHARS_MAX: usize = 200;

/// An ecosystem with a known order of versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Python, PEP 440 and PEP 503.
    PyPi,
    /// Rust, SemVer.
    CratesIo,
    /// JavaScript, SemVer.
    Npm,
    /// Go modules, SemVer with a leading `v`.
    Go,
    /// Debian by release (`12`); advisories name source packages.
    Debian(String),
}

impl Ecosystem {
    /// OSV's word for it (`Debian:12`); none for one that cannot be matched.
    pub fn of_osv(word: &str) -> Option<Self> {
        match word {
            "PyPI" => Some(Self::PyPi),
            "crates.io" => Some(Self::CratesIo),
            "npm" => Some(Self::Npm),
            "Go" => Some(Self::Go),
            other => {
                let release = other.strip_prefix("Debian:")?;
                (!release.is_empty()).then(|| Self::Debian(release.to_owned()))
            }
        }
    }

    /// The purl type of its packages, which settings use (`accept-unmatched: [deb]`).
    pub fn purl_type(&self) -> &'static str {
        match self {
            Self::PyPi => "pypi",
            Self::CratesIo => "cargo",
            Self::Npm => "npm",
            Self::Go => "golang",
            Self::Debian(_) => "deb",
        }
    }

    /// A package's name in the one spelling in which it is compared.
    pub fn normal_name(&self, name: &str) -> String {
        match self {
            Self::PyPi => pep503(name),
            // Both treat names as case-sensitive today; advisories repeat the registry's spelling.
            Self::CratesIo | Self::Npm | Self::Go | Self::Debian(_) => name.to_owned(),
        }
    }

    /// How two versions compare; none when one of them is not a version here.
    pub fn compare(&self, a: &str, b: &str) -> Option<Ordering> {
        if a.chars().count() > VERSION_CHARS_MAX || b.chars().count() > VERSION_CHARS_MAX {
            return None;
        }
        match self {
            Self::PyPi => {
                let a = pep440_rs::Version::from_str(a).ok()?;
                Some(a.cmp(&pep440_rs::Version::from_str(b).ok()?))
            }
            Self::CratesIo | Self::Npm | Self::Go => {
                Some(semantic(a)?.cmp_precedence(&semantic(b)?))
            }
            Self::Debian(_) => {
                let a = DebianVersion::parse(a)?;
                Some(a.compare(&DebianVersion::parse(b)?))
            }
        }
    }

    /// Whether this text is a version here.
    pub fn is_version(&self, text: &str) -> bool {
        self.compare(text, text).is_some()
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PyPi => f.write_str("PyPI"),
            Self::CratesIo => f.write_str("crates.io"),
            Self::Npm => f.write_str("npm"),
            Self::Go => f.write_str("Go"),
            Self::Debian(release) => write!(f, "Debian:{release}"),
        }
    }
}

/// PEP 503: lower case, runs of `-`, `_` and `.` are one `-`.
fn pep503(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(character.to_lowercase());
        }
    }
    out
}

/// SemVer, with the liberties that Go (`v1.2.3`) and old advisories (`1.2`) take. Precedence
/// ignores build metadata, as SemVer says (`+incompatible`).
fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if let Ok(version) = semver::Version::parse(text) {
        return Some(version);
    }
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 2_usize.checked_sub(numbers.matches('.').count())?;
    let padded = format!("{numbers}{}{rest}", ".0".repeat(missing));
    semver::Version::parse(&padded).ok()
}

/// What advisories are looked up by, made from a purl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Where the package comes from.
    pub ecosystem: Ecosystem,
    /// Its normal name there; for Debian the *source* package.
    pub name: String,
    /// Its version; for Debian the source package's.
    pub version: String,
}

impl Subject {
    /// Reads a purl. `Err` says why nothing can be looked up by it.
    pub fn of_purl(text: &str) -> Result<Self, &'static str> {
        let purl = PackageUrl::from_str(text).map_err(|_| "it has no readable purl")?;
        let version = purl.version().unwrap_or_default();
        let joined = || match purl.namespace() {
            Some(namespace) => format!("{namespace}/{}", purl.name()),
            None => purl.name().to_owned(),
        };
        let (ecosystem, name, version) = match purl.ty() {
            "pypi" => (Ecosystem::PyPi, purl.name().to_owned(), version),
            "cargo" => (Ecosystem::CratesIo, purl.name().to_owned(), version),
            "npm" => (Ecosystem::Npm, joined(), version),
            "golang" => (Ecosystem::Go, joined(), version),
            "deb" if purl.namespace() == Some("debian") => {
                let release = debian_release(&purl).ok_or("its purl names no Debian release")?;
                let (name, version) = debian_source(&purl, version);
                (Ecosystem::Debian(release), name, version)
            }
            _ => return Err("no matcher knows its ecosystem"),
        };
        if version.is_empty() {
            return Err("its version is unknown");
        }
        Ok(Self {
            name: ecosystem.normal_name(&name),
            version: version.to_owned(),
            ecosystem,
        })
    }
}

fn debian_release(purl: &PackageUrl<'_>) -> Option<String> {
    let distro = purl.qualifiers().get("distro")?;
    let release = distro.strip_prefix("debian-")?.split('.').next()?;
    (!release.is_empty()).then(|| release.to_owned())
}

/// syft's `upstream=<source>[@<version>]`: without it the binary package is its own source.
fn debian_source<'a>(purl: &'a PackageUrl<'_>, version: &'a str) -> (String, &'a str) {
    match purl.qualifiers().get("upstream").map(|value| &**value) {
        None | Some("") => (purl.name().to_owned(), version),
        Some(upstream) => match upstream.split_once('@') {
            Some((name, version)) => (name.to_owned(), version),
            None => (upstream.to_owned(), version),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn versions_compare_as_their_ecosystem_says() {
        let debian = Ecosystem::Debian("12".to_owned());
        for (ecosystem, a, b, order) in [
            (&Ecosystem::PyPi, "1.0", "1.0.0", Some(Equal)),
            (&Ecosystem::PyPi, "1.0rc1", "1.0", Some(Less)),
            (&Ecosystem::PyPi, "1!0.1", "2.0", Some(Greater)),
            (&Ecosystem::PyPi, "1.0.post1", "1.0", Some(Greater)),
            (&Ecosystem::PyPi, "banana", "1.0", None),
            (&Ecosystem::CratesIo, "1.10.0", "1.9.0", Some(Greater)),
            (&Ecosystem::CratesIo, "1.0.0-rc.1", "1.0.0", Some(Less)),
            (&Ecosystem::CratesIo, "1.0.0+a", "1.0.0+b", Some(Equal)),
            (&Ecosystem::Go, "v1.2.3", "1.2.3", Some(Equal)),
            (&Ecosystem::Go, "v2.0.0+incompatible", "2.0.0", Some(Equal)),
            (
                &Ecosystem::Go,
                "v0.0.0-20200101000000-abcdefabcdef",
                "0.0.0-20210101000000-0123456789ab",
                Some(Less),
            ),
            (&Ecosystem::Npm, "4.17.20", "4.17.21", Some(Less)),
            (&Ecosystem::Npm, "1.2", "1.2.0", Some(Equal)),
            (&debian, "1:1.2.13.dfsg-1", "1.2.14", Some(Greater)),
            (&debian, "3.0.19-1~deb12u2", "3.0.19-1", Some(Less)),
            (&debian, "1.0 ", "1.0", None),
        ] {
            assert_eq!(ecosystem.compare(a, b), order, "{ecosystem} {a} {b}");
        }
    }

    #[test]
    fn a_purl_says_what_to_look_up() {
        let subject = |purl: &str| {
            Subject::of_purl(purl).map(|s| (s.ecosystem.to_string(), s.name, s.version))
        };
        for (purl, ecosystem, name, version) in [
            ("pkg:pypi/Flask_Login@0.6.2", "PyPI", "flask-login", "0.6.2"),
            ("pkg:pypi/zope.interface@5", "PyPI", "zope-interface", "5"),
            ("pkg:npm/%40babel/core@7.0.0", "npm", "@babel/core", "7.0.0"),
            (
                "pkg:golang/github.com/gin-gonic/gin@v1.9.0",
                "Go",
                "github.com/gin-gonic/gin",
                "v1.9.0",
            ),
            ("pkg:cargo/ring@0.17.8", "crates.io", "ring", "0.17.8"),
            (
                "pkg:deb/debian/libssl3@3.0.19-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl",
                "Debian:12",
                "openssl",
                "3.0.19-1~deb12u2",
            ),
            (
                "pkg:deb/debian/libgcc-s1@12.2.0-14+b1?distro=debian-12&upstream=gcc-12%4012.2.0-14",
                "Debian:12",
                "gcc-12",
                "12.2.0-14",
            ),
            (
                "pkg:deb/debian/dash@0.5.12-2?distro=debian-12.5",
                "Debian:12",
                "dash",
                "0.5.12-2",
            ),
        ] {
            let expected = (ecosystem.to_owned(), name.to_owned(), version.to_owned());
            assert_eq!(subject(purl), Ok(expected), "{purl}");
        }
        for purl in [
            "pkg:maven/org.example/core@1",
            "pkg:deb/ubuntu/dash@1?distro=ubuntu-22.04",
            "pkg:deb/debian/dash@1",
            "pkg:pypi/flask",
            "garbage",
        ] {
            assert!(subject(purl).is_err(), "{purl}");
        }
    }

    #[test]
    fn an_endless_version_is_no_version() {
        let long = "1".repeat(VERSION_CHARS_MAX + 1);
        let debian = Ecosystem::Debian("12".to_owned());
        for ecosystem in [Ecosystem::PyPi, Ecosystem::Npm, debian] {
            assert!(!ecosystem.is_version(&long));
        }
    }
}
