//! One OSV record (schema 1.7.5): what is affected, in which versions, how bad.

use super::ecosystem::Ecosystem;
use crate::finding::parse::clean;
use crate::finding::state::Severity;
use serde::Deserialize;
use std::cmp::Ordering;
use std::str::FromStr as _;

/// A record: the largest published ones (a kernel advisory with all its versions) have about 3 MB.
pub const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Characters of an id.
pub const ID_CHARS_MAX: usize = 128;
/// Packages that one record names.
pub const AFFECTED_MAX: usize = 5_000;
/// Aliases of one record.
pub const ALIASES_MAX: usize = 200;
/// Events of one range.
pub const EVENTS_MAX: usize = 10_000;
/// Versions that one record lists for one package.
pub const VERSIONS_MAX: usize = 100_000;
/// Characters of a title and of details that are kept.
pub const SUMMARY_CHARS_MAX: usize = 300;
/// Characters of the details that are kept.
pub const DETAILS_CHARS_MAX: usize = 2_000;

/// A record, as far as matching needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `PYSEC-2021-66`.
    pub id: String,
    /// When it was changed last, µs since 1970 UTC; 0 when the record has no readable time.
    pub modified_at: i64,
    /// Taken back: it hits nothing.
    pub withdrawn: bool,
    /// Other ids of the same thing.
    pub aliases: Vec<String>,
    /// One line.
    pub summary: String,
    /// More.
    pub details: String,
    /// Per package.
    pub affected: Vec<Affected>,
}

/// What a record says about one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Its ecosystem in OSV's words.
    pub ecosystem: String,
    /// Its name, normal where the ecosystem is known.
    pub name: String,
    /// Affected versions, one by one.
    pub versions: Vec<String>,
    /// Affected ranges; commits of a repository are left out.
    pub ranges: Vec<Range>,
    /// How bad, for this package.
    pub severity: Severity,
}

/// A timeline of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// As the record lists them.
    pub events: Vec<Event>,
}

/// One point of the timeline. The order of kinds is the order at one and the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// From here on it is mended.
    Fixed(String),
    /// From here on it is affected; `0` is before everything.
    Introduced(String),
    /// The last one affected.
    LastAffected(String),
    /// Nothing from here on is spoken about.
    Limit(String),
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// Not an OSV record.
    #[error("not an OSV record: {0}")]
    Form(String),
    /// Larger than is read.
    #[error("the record has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

impl Record {
    /// Reads one record.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        limited("bytes", bytes.len(), RECORD_BYTES_MAX)?;
        let raw: RawRecord = serde_json::from_slice(bytes)
            .map_err(|error| InvalidRecord::Form(error.to_string().chars().take(200).collect()))?;
        let sound = |id: &str| {
            !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(|c| c.is_ascii_graphic())
        };
        if !sound(&raw.id) {
            return Err(InvalidRecord::Form("its id is not one word".to_owned()));
        }
        limited("affected packages", raw.affected.len(), AFFECTED_MAX)?;
        limited(
            "aliases",
            raw.aliases.len() + raw.upstream.len(),
            ALIASES_MAX,
        )?;
        // Published records carry times such as `1-01-01T00:00:00Z`. A time that cannot be read is
        // the oldest: it never makes a database look newer than it is.
        let modified_at = raw.modified.parse::<jiff::Timestamp>();
        let modified_at = modified_at
            .map_or(0, jiff::Timestamp::as_microsecond)
            .max(0);
        let mut aliases = raw.aliases;
        // A distribution's own record of exactly one CVE is that CVE under another name; an advisory
        // that collects several is not.
        if let [only] = raw.upstream.as_slice()
            && raw.id.ends_with(only.as_str())
        {
            aliases.push(only.clone());
        }
        aliases.retain(|alias| sound(alias) && *alias != raw.id);
        aliases.sort();
        aliases.dedup();
        let top = top_severity(&raw.severity, raw.database_specific.as_ref());
        let affected = raw.affected.into_iter().map(|one| one.read(top));
        let affected = affected.collect::<Result<Vec<_>, _>>()?;
        let summary = raw.summary.unwrap_or_default();
        let details = clean(&raw.details.unwrap_or_default(), DETAILS_CHARS_MAX);
        let summary = if summary.trim().is_empty() {
            &details
        } else {
            &summary
        };
        Ok(Self {
            id: raw.id,
            modified_at,
            withdrawn: raw.withdrawn.is_some(),
            summary: clean(
                summary.trim().lines().next().unwrap_or_default(),
                SUMMARY_CHARS_MAX,
            ),
            details,
            aliases,
            affected: affected.into_iter().flatten().collect(),
        })
    }
}

fn limited(what: &'static str, count: usize, limit: usize) -> Result<(), InvalidRecord> {
    if count > limit {
        return Err(InvalidRecord::TooMany { what, limit });
    }
    Ok(())
}

/// What a version is to one package of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not affected.
    Clear,
    /// Affected, and the nearest version that mends it, if there is one.
    Affected {
        /// The nearest fixed version above.
        fixed_in: Option<String>,
    },
    /// A range cannot be compared with this version, and no list of versions decides.
    Unclear,
}

impl Affected {
    /// The evaluation that the OSV schema defines: affected when the version is listed or lies in
    /// any range.
    pub fn verdict(&self, ecosystem: &Ecosystem, version: &str) -> Verdict {
        let equal = |listed: &String| {
            listed == version || ecosystem.compare(listed, version) == Some(Ordering::Equal)
        };
        let mut in_range = false;
        let mut unclear = false;
        let mut fixed: Option<&str> = None;
        for range in &self.ranges {
            match range.holds(ecosystem, version) {
                Some(holds) => in_range |= holds,
                None => unclear = true,
            }
            for event in &range.events {
                let Event::Fixed(at) = event else { continue };
                let nearer =
                    fixed.is_none_or(|best| ecosystem.compare(at, best) == Some(Ordering::Less));
                if ecosystem.compare(at, version) == Some(Ordering::Greater) && nearer {
                    fixed = Some(at);
                }
            }
        }
        // The list last: it can be long, and the range has mostly answered.
        if in_range || self.versions.iter().any(equal) {
            Verdict::Affected {
                fixed_in: fixed.map(str::to_owned),
            }
        } else if unclear && self.versions.is_empty() {
            Verdict::Unclear
        } else {
            Verdict::Clear
        }
    }
}

impl Range {
    /// Whether a version lies in the range; none when something cannot be compared.
    fn holds(&self, ecosystem: &Ecosystem, version: &str) -> Option<bool> {
        let mut limits = Vec::new();
        let mut events = Vec::new();
        for event in &self.events {
            match event {
                Event::Limit(at) => limits.push(at.as_str()),
                Event::Fixed(at) => events.push((at.as_str(), 0)),
                Event::Introduced(at) => events.push((at.as_str(), 1)),
                Event::LastAffected(at) => events.push((at.as_str(), 2)),
            }
        }
        let before_limits = limits.is_empty()
            || limits
                .iter()
                .map(|at| Some(*at == "*" || ecosystem.compare(version, at)? == Ordering::Less))
                .collect::<Option<Vec<_>>>()?
                .contains(&true);
        if !before_limits {
            return Some(false);
        }
        for (at, _) in &events {
            if *at != "0" && !ecosystem.is_version(at) {
                return None;
            }
        }
        // "0" is before every version, whatever the ecosystem makes of it.
        events.sort_by(|(a, kind_a), (b, kind_b)| {
            let order = match (*a == "0", *b == "0") {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => ecosystem.compare(a, b).unwrap_or(Ordering::Equal),
            };
            order.then(kind_a.cmp(kind_b))
        });
        let mut affected = false;
        for (at, kind) in events {
            let order = match at {
                "0" => Ordering::Greater,
                at => ecosystem.compare(version, at)?,
            };
            match kind {
                0 if order != Ordering::Less => affected = false,
                1 if order != Ordering::Less => affected = true,
                2 if order == Ordering::Greater => affected = false,
                _ => {}
            }
        }
        Some(affected)
    }
}

/// The worst of the CVSS vectors, else the database's own word, else unknown.
fn top_severity(severity: &[RawSeverity], database: Option<&RawDatabase>) -> Severity {
    let by_vector = of_vectors(severity);
    if by_vector != Severity::Unknown {
        return by_vector;
    }
    database
        .and_then(|database| database.severity.as_ref())
        .and_then(|value| value.as_str())
        .map_or(Severity::Unknown, |word| {
            match word.to_ascii_uppercase().as_str() {
                "CRITICAL" => Severity::Critical,
                "HIGH" => Severity::High,
                "MODERATE" | "MEDIUM" => Severity::Medium,
                "LOW" => Severity::Low,
                _ => Severity::Unknown,
            }
        })
}

fn of_vectors(severity: &[RawSeverity]) -> Severity {
    let score = |kinds: &[&str]| {
        let vectors = severity
            .iter()
            .filter(|one| kinds.contains(&one.kind.as_str()));
        vectors
            .filter(|one| one.score.len() <= ID_CHARS_MAX * 4)
            .filter_map(|one| match one.kind.as_str() {
                "CVSS_V2" => cvss::v2::Vector::from_str(&one.score)
                    .ok()
                    .map(|vector| vector.score().value()),
                _ => cvss::Cvss::from_str(&one.score)
                    .ok()
                    .map(|vector| vector.score()),
            })
            .fold(None, |worst: Option<f64>, score| {
                Some(worst.map_or(score, |worst| worst.max(score)))
            })
    };
    score(&["CVSS_V3", "CVSS_V4"])
        .or_else(|| score(&["CVSS_V2"]))
        .map_or(Severity::Unknown, Severity::from_cvss_score)
}

#[derive(Deserialize)]
struct RawRecord {
    id: String,
    modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    upstream: Vec<String>,
    summary: Option<String>,
    details: Option<String>,
    #[serde(default)]
    severity: Vec<RawSeverity>,
    #[serde(default)]
    affected: Vec<RawAffected>,
    database_specific: Option<RawDatabase>,
}

#[derive(Deserialize)]
struct RawSeverity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

/// The few database-specific words that say how bad it is.
#[derive(Deserialize)]
struct RawDatabase {
    /// GitHub: `MODERATE`.
    severity: Option<serde_json::Value>,
    /// RustSec: `unmaintained` and `notice` are no holes.
    informational: Option<serde_json::Value>,
}

/// Debian: `unimportant` has no effect in the package as built.
#[derive(Deserialize)]
struct RawEcosystem {
    urgency: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawAffected {
    package: Option<RawPackage>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    ranges: Vec<RawRange>,
    #[serde(default)]
    severity: Vec<RawSeverity>,
    database_specific: Option<RawDatabase>,
    ecosystem_specific: Option<RawEcosystem>,
}

#[derive(Deserialize)]
struct RawPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RawRange {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct RawEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

impl RawAffected {
    /// None when it names no package (only commits).
    fn read(self, top: Severity) -> Result<Option<Affected>, InvalidRecord> {
        let harmless = self.says_harmless();
        let Some(package) = self.package else {
            return Ok(None);
        };
        limited("listed versions", self.versions.len(), VERSIONS_MAX)?;
        let mut severity = match of_vectors(&self.severity) {
            Severity::Unknown => top,
            own @ (Severity::Low | Severity::Medium | Severity::High | Severity::Critical) => own,
        };
        if severity == Severity::Unknown && harmless {
            severity = Severity::Low;
        }
        let ranges = self.ranges.into_iter().filter(|range| range.kind != "GIT");
        let name = match Ecosystem::of_osv(&package.ecosystem) {
            Some(ecosystem) => ecosystem.normal_name(&package.name),
            None => package.name,
        };
        Ok(Some(Affected {
            ecosystem: package.ecosystem,
            name,
            versions: self.versions,
            ranges: ranges.map(RawRange::read).collect::<Result<_, _>>()?,
            severity,
        }))
    }

    fn says_harmless(&self) -> bool {
        let word = |value: &Option<serde_json::Value>, words: &[&str]| {
            let text = value.as_ref().and_then(serde_json::Value::as_str);
            text.is_some_and(|text| words.contains(&text))
        };
        let database = self.database_specific.as_ref();
        let ecosystem = self.ecosystem_specific.as_ref();
        database.is_some_and(|d| word(&d.informational, &["unmaintained", "notice"]))
            || ecosystem.is_some_and(|e| word(&e.urgency, &["unimportant", "low"]))
    }
}

impl RawRange {
    fn read(self) -> Result<Range, InvalidRecord> {
        limited("events in a range", self.events.len(), EVENTS_MAX)?;
        let events = self.events.into_iter().map(|event| {
            let RawEvent {
                introduced,
                fixed,
                last_affected,
                limit,
            } = event;
            match (introduced, fixed, last_affected, limit) {
                (Some(at), None, None, None) => Ok(Event::Introduced(at)),
                (None, Some(at), None, None) => Ok(Event::Fixed(at)),
                (None, None, Some(at), None) => Ok(Event::LastAffected(at)),
                (None, None, None, Some(at)) => Ok(Event::Limit(at)),
                _ => Err(InvalidRecord::Form(
                    "an event is not exactly one of introduced, fixed, last_affected, limit"
                        .to_owned(),
                )),
            }
        });
        Ok(Range {
            events: events.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
