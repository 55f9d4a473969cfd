//! What a finding is, whatever tool it came from.

use super::fingerprint::Fingerprint;
use contract::settings::SeverityLevel;
use std::fmt;

/// How bad a finding is. The order is the gate's: what nobody has judged stands above everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Little harm.
    Low,
    /// Some harm, or harm that needs much to happen.
    Medium,
    /// Serious harm.
    High,
    /// The worst.
    Critical,
    /// Nobody said. Counts as at every threshold (DECISIONS 28).
    Unknown,
}

impl Severity {
    /// The word in the database, the API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Low,
            Self::Medium,
            Self::High,
            Self::Critical,
            Self::Unknown,
        ]
        .into_iter()
        .find(|severity| severity.as_str() == word)
    }

    /// Whether a gate that wants nothing at or above `threshold` counts this.
    pub fn counts_at(self, threshold: Self) -> bool {
        self >= threshold
    }

    /// The qualitative scale of CVSS v3 and v4 (0 means that there is no harm: low here, because a
    /// finding that somebody published is never nothing).
    pub fn from_cvss_score(score: f64) -> Self {
        if score >= 9.0 {
            Self::Critical
        } else if score >= 7.0 {
            Self::High
        } else if score >= 4.0 {
            Self::Medium
        } else if score >= 0.0 {
            Self::Low
        } else {
            Self::Unknown
        }
    }
}

impl From<SeverityLevel> for Severity {
    fn from(level: SeverityLevel) -> Self {
        match level {
            SeverityLevel::Low => Self::Low,
            SeverityLevel::Medium => Self::Medium,
            SeverityLevel::High => Self::High,
            SeverityLevel::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One complaint, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tool (`hadolint`, `gitleaks`, `osv`), lower-case.
    pub tool: String,
    /// The rule's or advisory's id.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// One line for lists.
    pub title: String,
    /// What the tool said; never the matched text.
    pub message: String,
    /// Where.
    pub location: Location,
    /// The same in another run when the same thing is still there.
    pub fingerprint: Fingerprint,
    /// The tool marks it as suppressed. Kept and shown; it opens no gate, because such marks come
    /// from the commit under test.
    pub suppressed: bool,
    /// Other ids of the same thing (CVE, GHSA, PYSEC, …), sorted.
    pub aliases: Vec<String>,
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a file of the source or of an image.
    File {
        /// Relative, with `/`, without `.` and `..`.
        path: String,
        /// The first line, from 1.
        line: Option<u32>,
    },
    /// In a package that an image holds.
    Package(PackageAt),
    /// The tool did not say.
    Nowhere,
}

/// The package that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageAt {
    /// As the SBOM names it.
    pub purl: String,
    /// Its name in its ecosystem.
    pub name: String,
    /// What is installed.
    pub version: String,
    /// The nearest version in which it is mended.
    pub fixed_in: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::Severity;

    #[test]
    fn unknown_counts_at_every_threshold_and_low_only_at_low() {
        for threshold in [
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ] {
            assert!(Severity::Unknown.counts_at(threshold));
            assert_eq!(
                Severity::Low.counts_at(threshold),
                threshold == Severity::Low
            );
            assert!(Severity::Critical.counts_at(threshold));
        }
    }

    #[test]
    fn words_are_read_back() {
        for word in ["low", "medium", "high", "critical", "unknown"] {
            assert_eq!(Severity::parse(word).unwrap().as_str(), word);
        }
        assert_eq!(Severity::parse("HIGH"), None);
    }

    #[test]
    fn scores_fall_on_the_published_scale() {
        for (score, severity) in [
            (0.0, Severity::Low),
            (3.9, Severity::Low),
            (4.0, Severity::Medium),
            (7.0, Severity::High),
            (8.9, Severity::High),
            (9.0, Severity::Critical),
            (f64::NAN, Severity::Unknown),
            (-1.0, Severity::Unknown),
        ] {
            assert_eq!(Severity::from_cvss_score(score), severity, "{score}");
        }
    }
}
