//! Which installed packages the advisories hit. Pure: the caller brings both.

use super::ecosystem::{Ecosystem, Subject};
use super::osv::{Affected, Record, Verdict};
use crate::finding::fingerprint::{InPackage, Ordinals};
use crate::finding::parse::cyclonedx::Package;
use crate::finding::parse::{clean, clean_line};
use crate::finding::state::{Finding, Location, PackageAt, Severity};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The tool's name on findings of this kind.
pub const TOOL: &str = "osv";
/// Characters of a finding's message.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
/// Characters of a finding's title.
pub const TITLE_CHARS_MAX: usize = 200;

/// Records by the package that they speak about.
#[derive(Debug, Clone, Default)]
pub struct Advisories {
    by_package: HashMap<(String, String), Vec<Arc<Record>>>,
    covered: BTreeSet<String>,
}

impl Advisories {
    /// Nothing known, but for these ecosystems (OSV's words) somebody would know.
    pub fn covering(ecosystems: impl IntoIterator<Item = String>) -> Self {
        Self {
            by_package: HashMap::new(),
            covered: ecosystems.into_iter().collect(),
        }
    }

    /// Adds a record, and covers every ecosystem that it names.
    pub fn add(&mut self, record: Record) {
        let record = Arc::new(record);
        for affected in &record.affected {
            let key = (affected.ecosystem.clone(), affected.name.clone());
            self.covered.insert(affected.ecosystem.clone());
            let known = self.by_package.entry(key).or_default();
            if !known.iter().any(|one| Arc::ptr_eq(one, &record)) {
                known.push(Arc::clone(&record));
            }
        }
    }
}

/// What the advisories say about an image's packages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// By package, worst first within one.
    pub findings: Vec<Finding>,
    /// Packages that nothing can say anything about.
    pub not_checked: Vec<NotChecked>,
}

/// A package that could not be judged (DECISIONS 28).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotChecked {
    /// The purl type, as settings accept it (`accept-unmatched: [deb]`).
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Why, for people.
    pub why: String,
}

/// Judges every package.
pub fn judge(packages: &[Package], advisories: &Advisories) -> Judged {
    let mut judged = Judged::default();
    let mut ordinals = Ordinals::default();
    let mut sorted: Vec<&Package> = packages.iter().collect();
    sorted.sort();
    let mut seen = BTreeSet::new();
    for package in sorted {
        let (subject, purl) = match subject_of(package, advisories) {
            Ok(subject) => subject,
            Err(why) => {
                judged.not_checked.push(NotChecked {
                    kind: package.kind.clone(),
                    name: package.name.clone(),
                    version: package.version.clone(),
                    why,
                });
                continue;
            }
        };
        let key = (subject.ecosystem.to_string(), subject.name.clone());
        let records = advisories.by_package.get(&key);
        for hit in hits(&subject, records.map_or(&[], Vec::as_slice)) {
            // Binary packages of one Debian source share its holes: told once, under the source.
            if seen.insert((hit.canonical(), key.clone(), subject.version.clone())) {
                let finding = finding_of(&hit, &subject, purl, &mut ordinals);
                judged.findings.push(finding);
            }
        }
    }
    judged.not_checked.sort();
    judged
}

fn subject_of<'a>(
    package: &'a Package,
    advisories: &Advisories,
) -> Result<(Subject, &'a str), String> {
    let purl = package.purl.as_deref().ok_or("it has no readable purl")?;
    let subject = Subject::of_purl(purl)?;
    let ecosystem = subject.ecosystem.to_string();
    if !advisories.covered.contains(&ecosystem) {
        return Err(format!("no advisories for {ecosystem} were imported"));
    }
    if !subject.ecosystem.is_version(&subject.version) {
        return Err(format!("its version is no version of {ecosystem}"));
    }
    Ok((subject, purl))
}

/// One thing that is wrong with a package, under all its names.
#[derive(Debug)]
struct Hit<'a> {
    names: BTreeSet<&'a str>,
    records: Vec<&'a Record>,
    severity: Severity,
    fixed_in: Option<String>,
    unclear: bool,
}

impl Hit<'_> {
    /// The name that does not depend on which databases were imported.
    fn canonical(&self) -> String {
        let first = |prefix: &str| self.names.iter().find(|name| name.starts_with(prefix));
        let first = first("CVE-").or_else(|| first("GHSA-"));
        first
            .or_else(|| self.names.first())
            .copied()
            .unwrap_or_default()
            .to_owned()
    }

    /// The record that speaks: the ecosystem's own database before GitHub's and the CVE's.
    fn spokesman(&self) -> Option<&Record> {
        let rank = |record: &Record| {
            (
                record.id.starts_with("CVE-"),
                record.id.starts_with("GHSA-"),
                record.id.clone(),
            )
        };
        self.records
            .iter()
            .copied()
            .min_by_key(|record| rank(record))
    }
}

fn hits<'a>(subject: &Subject, records: &'a [Arc<Record>]) -> Vec<Hit<'a>> {
    let mut hits: Vec<Hit<'a>> = Vec::new();
    for record in records
        .iter()
        .map(Arc::as_ref)
        .filter(|record| !record.withdrawn)
    {
        let Some(mut hit) = hit_of(subject, record) else {
            continue;
        };
        // Whatever shares a name with this one is the same thing, also when this one joins two.
        let mut apart = Vec::new();
        for other in hits {
            if other.names.is_disjoint(&hit.names) {
                apart.push(other);
            } else {
                hit = joined(&subject.ecosystem, hit, other);
            }
        }
        apart.push(hit);
        hits = apart;
    }
    hits.sort_by(|a, b| (b.severity, a.canonical()).cmp(&(a.severity, b.canonical())));
    hits
}

fn hit_of<'a>(subject: &Subject, record: &'a Record) -> Option<Hit<'a>> {
    let about = |affected: &&Affected| {
        affected.name == subject.name
            && Ecosystem::of_osv(&affected.ecosystem).as_ref() == Some(&subject.ecosystem)
    };
    let mut found: Option<Hit<'a>> = None;
    for affected in record.affected.iter().filter(about) {
        let (fixed_in, unclear) = match affected.verdict(&subject.ecosystem, &subject.version) {
            Verdict::Clear => continue,
            Verdict::Affected { fixed_in } => (fixed_in, false),
            Verdict::Unclear => (None, true),
        };
        let names = std::iter::once(&record.id).chain(&record.aliases);
        let hit = Hit {
            names: names.map(String::as_str).collect(),
            records: vec![record],
            severity: affected.severity,
            fixed_in,
            unclear,
        };
        found = Some(match found {
            Some(other) => joined(&subject.ecosystem, other, hit),
            None => hit,
        });
    }
    found
}

/// Two reports of one thing: the worse severity that somebody gave, the later fix (the earlier one
/// is not enough for both).
fn joined<'a>(ecosystem: &Ecosystem, mut a: Hit<'a>, b: Hit<'a>) -> Hit<'a> {
    a.names.extend(b.names);
    for record in b.records {
        if !a.records.iter().any(|one| std::ptr::eq(*one, record)) {
            a.records.push(record);
        }
    }
    a.severity = match (a.severity, b.severity) {
        (Severity::Unknown, known) | (known, Severity::Unknown) => known,
        (a, b) => a.max(b),
    };
    a.fixed_in = match (a.fixed_in, b.fixed_in) {
        (Some(a), Some(b)) => {
            let later = ecosystem.compare(&a, &b) == Some(std::cmp::Ordering::Less);
            Some(if later { b } else { a })
        }
        (one, other) => one.or(other),
    };
    a.unclear = a.unclear && b.unclear;
    a
}

fn finding_of(hit: &Hit<'_>, subject: &Subject, purl: &str, ordinals: &mut Ordinals) -> Finding {
    let spokesman = hit.spokesman();
    let rule = spokesman.map_or_else(|| hit.canonical(), |record| record.id.clone());
    let summary = spokesman.map_or("", |record| record.summary.as_str());
    let details = spokesman.map_or("", |record| record.details.as_str());
    let message = if hit.unclear {
        format!(
            "Counted as affected: the advisory's versions cannot be compared with {}. {details}",
            subject.version
        )
    } else {
        details.to_owned()
    };
    Finding {
        tool: TOOL.to_owned(),
        severity: hit.severity,
        title: clean_line(
            if summary.is_empty() { &rule } else { summary },
            TITLE_CHARS_MAX,
        ),
        message: clean(&message, MESSAGE_CHARS_MAX),
        location: Location::Package(PackageAt {
            purl: purl.to_owned(),
            name: subject.name.clone(),
            version: subject.version.clone(),
            fixed_in: hit.fixed_in.clone(),
        }),
        fingerprint: ordinals.in_package(InPackage {
            advisory: hit.canonical(),
            package: format!("{}/{}", subject.ecosystem, subject.name),
        }),
        suppressed: false,
        aliases: hit
            .names
            .iter()
            .filter(|name| **name != rule)
            .map(|name| (*name).to_owned())
            .collect(),
        rule,
    }
}

/// The ecosystems (OSV's words) that these packages are looked up in.
pub fn ecosystems_of(packages: &[Package]) -> BTreeSet<String> {
    let subjects = packages
        .iter()
        .filter_map(|package| Subject::of_purl(package.purl.as_deref()?).ok());
    subjects
        .map(|subject| subject.ecosystem.to_string())
        .collect()
}

/// What was not checked, counted by purl type: for a gate's condition and a page's line.
pub fn not_checked_by_kind(not_checked: &[NotChecked]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for one in not_checked {
        *kinds.entry(one.kind.clone()).or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests;
