//! What would change in the environment: against what it holds now, or held before.

use super::super::parts::size;
use super::super::{Copied, PageError};
use crate::db::Conn;
use crate::finding::{self, Location, Severity};
use crate::image::{self, Release};
use crate::run::{self, RunId};
use std::collections::{BTreeMap, BTreeSet};

/// Packages that the page lists; it counts all.
const ROWS_MAX: usize = 200;

/// The difference of two releases.
pub(super) struct Difference {
    pub(super) was_commit: Copied,
    pub(super) is_commit: Copied,
    pub(super) same_commit: bool,
    /// None: a release without a bill of materials cannot be compared.
    pub(super) packages: Option<Packages>,
    pub(super) size: String,
    pub(super) was_size: String,
}

/// What the bills of materials say.
pub(super) struct Packages {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
    pub(super) rows: Vec<Row>,
    pub(super) more: usize,
    pub(super) fixed: Vec<String>,
    pub(super) introduced: Vec<String>,
}

/// One package.
pub(super) struct Row {
    /// The class of its sign, the sign and its word.
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) word: &'static str,
    pub(super) name: String,
    pub(super) was: String,
    pub(super) is: String,
    pub(super) licences: String,
    pub(super) why: String,
}

/// Ecosystem and name.
type Named = (String, String);
/// Versions, and the licences of the last of them.
type Installed = (BTreeSet<String>, String);

/// What is known of one release.
struct Side {
    commit: String,
    bytes: i64,
    /// Versions and licences by ecosystem and name.
    packages: Option<BTreeMap<Named, Installed>>,
    /// Advisories by id and package, with their severity.
    advisories: BTreeMap<(String, String), Severity>,
}

/// Compares.
pub(super) async fn difference(
    conn: &mut Conn,
    was: &Release,
    is: &Release,
) -> Result<Difference, PageError> {
    let (was, is) = (side(conn, was).await?, side(conn, is).await?);
    Ok(Difference {
        same_commit: was.commit == is.commit,
        packages: packages(&was, &is),
        was_commit: Copied::new("commit", was.commit),
        is_commit: Copied::new("commit", is.commit),
        size: size(is.bytes),
        was_size: size(was.bytes),
    })
}

async fn side(conn: &mut Conn, release: &Release) -> Result<Side, PageError> {
    let run = RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(conn, &run).await.map_err(PageError::log)?;
    let run = run.ok_or(PageError::NotFound)?;
    let (mut bytes, mut all) = (0, Some(BTreeMap::new()));
    for image in release.images.values() {
        let found = image::image(conn, &image.image_id)
            .await
            .map_err(PageError::log)?;
        bytes += found.map_or(0, |image| image.image_bytes);
        let packages = finding::packages(conn, image.image_id.as_str())
            .await
            .map_err(PageError::log)?;
        if packages.is_empty() {
            // No bill, or an empty one: in both cases nothing can be said about its packages.
            all = None;
        }
        for package in packages {
            let Some(all) = &mut all else { break };
            let key = (package.kind, package.name);
            let (versions, licences): &mut Installed = all.entry(key).or_default();
            versions.insert(package.version);
            *licences = package.licences.join(", ");
        }
    }
    let open = finding::open_in_run(conn, &release.run_id)
        .await
        .map_err(PageError::log)?;
    let advisory = |open: finding::Open| match open.finding.location {
        Location::Package(at) => Some(((open.finding.rule, at.name), open.finding.severity)),
        Location::File { .. } | Location::Nowhere => None,
    };
    Ok(Side {
        commit: run.commit.to_string(),
        bytes,
        packages: all,
        advisories: open.into_iter().filter_map(advisory).collect(),
    })
}

fn packages(was: &Side, is: &Side) -> Option<Packages> {
    let (before, after) = (was.packages.as_ref()?, is.packages.as_ref()?);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let (mut added, mut removed, mut changed, mut rows) = (0, 0, 0, Vec::new());
    let joined = |versions: &BTreeSet<String>| {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        versions.join(", ")
    };
    for key in names {
        let (class, sign, word) = match (before.get(key), after.get(key)) {
            (None, Some(_)) => {
                added += 1;
                ("add", "+", "Added")
            }
            (Some(_), None) => {
                removed += 1;
                ("del", "\u{2212}", "Removed")
            }
            (Some((was, _)), Some((is, _))) if was != is => {
                changed += 1;
                ("up", "\u{2191}", "Changed")
            }
            (Some(_), Some(_)) | (None, None) => continue,
        };
        let licences = after.get(key).or(before.get(key));
        rows.push(Row {
            class,
            sign,
            word,
            name: key.1.clone(),
            was: before.get(key).map_or_else(String::new, |(v, _)| joined(v)),
            is: after.get(key).map_or_else(String::new, |(v, _)| joined(v)),
            licences: licences.map_or_else(String::new, |(_, licences)| licences.clone()),
            why: why(was, is, &key.1),
        });
    }
    // What changes the advisories comes first.
    rows.sort_by_key(|row| row.why.is_empty());
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    Some(Packages {
        added,
        removed,
        changed,
        rows,
        more,
        fixed: only_in(was, is),
        introduced: only_in(is, was),
    })
}

/// Advisories of one side that the other does not have.
fn only_in(one: &Side, other: &Side) -> Vec<String> {
    let own = one.advisories.iter();
    own.filter(|(key, _)| !other.advisories.contains_key(*key))
        .map(|((rule, package), severity)| format!("{rule} in {package}, {severity}"))
        .collect()
}

fn why(was: &Side, is: &Side, package: &str) -> String {
    let of = |one: &Side, other: &Side, word: &str| {
        let own = one.advisories.iter();
        let changed =
            own.filter(|(key, _)| key.1 == package && !other.advisories.contains_key(*key));
        let words: Vec<String> = changed
            .map(|((rule, _), severity)| format!("{word} {rule}, {severity}"))
            .collect();
        words
    };
    let mut words = of(is, was, "Introduces");
    words.extend(of(was, is, "Fixes"));
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(packages: &[(&str, &str)], advisories: &[(&str, &str)]) -> Side {
        let package = |(name, version): &(&str, &str)| {
            let key = ("pypi".to_owned(), (*name).to_owned());
            (
                key,
                (BTreeSet::from([(*version).to_owned()]), String::new()),
            )
        };
        let advisory = |(rule, name): &(&str, &str)| {
            (((*rule).to_owned(), (*name).to_owned()), Severity::High)
        };
        Side {
            commit: String::new(),
            bytes: 0,
            packages: Some(packages.iter().map(package).collect()),
            advisories: advisories.iter().map(advisory).collect(),
        }
    }

    #[test]
    fn packages_are_added_removed_and_changed_and_what_they_fix_comes_first() {
        let was = side(
            &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")],
            &[("V-1", "d"), ("V-2", "b")],
        );
        let is = side(
            &[("a", "1"), ("c", "2"), ("d", "2"), ("e", "1")],
            &[("V-3", "e")],
        );
        let found = packages(&was, &is).unwrap();
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 2));
        let rows: Vec<String> = found
            .rows
            .iter()
            .map(|row| {
                format!(
                    "{} {} {}>{} {}",
                    row.word, row.name, row.was, row.is, row.why
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                "Removed b 1> Fixes V-2, high",
                "Changed d 1>2 Fixes V-1, high",
                "Added e >1 Introduces V-3, high",
                "Changed c 1>2 ",
            ]
        );
        assert_eq!(found.fixed, ["V-1 in d, high", "V-2 in b, high"]);
        assert_eq!(found.introduced, ["V-3 in e, high"]);
    }

    #[test]
    fn without_a_bill_nothing_is_said_about_packages() {
        let mut unknown = side(&[], &[]);
        unknown.packages = None;
        assert!(packages(&unknown, &side(&[("a", "1")], &[])).is_none());
    }
}
