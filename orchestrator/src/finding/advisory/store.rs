//! All SQL of advisories.

use super::archive::Entry;
use super::ecosystem::Subject;
use super::matching::Advisories;
use super::osv::Record;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::finding::parse::cyclonedx::Package;
use contract::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of an ecosystem, and since when.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Source {
    /// OSV's word.
    pub ecosystem: String,
    /// SHA-256 of the archive.
    pub digest: String,
    /// Its records.
    pub records: i64,
    /// Its newest record, µs since 1970 UTC.
    pub content_at: i64,
    /// The last successful import, an unchanged one too, µs since 1970 UTC.
    pub confirmed_at: i64,
}

/// All sources, by ecosystem.
pub async fn sources(conn: &mut Conn) -> Result<Vec<Source>, Error> {
    crate::fetch_all!(
        conn,
        Source,
        "SELECT ecosystem, digest, records, content_at, confirmed_at FROM advisory_source
         ORDER BY ecosystem"
    )
}

/// What a judgement was made with: two equal versions are the same advisories.
pub fn version_of(sources: &[Source]) -> String {
    let lines: String = sources
        .iter()
        .map(|source| format!("{} {}\n", source.ecosystem, source.digest))
        .collect();
    Digest::of(lines.as_bytes()).to_string()
}

/// The advisories about these packages, and their version. The version is read first: what is
/// imported meanwhile makes the judgement look older than it is, never newer.
pub async fn about(conn: &mut Conn, packages: &[Package]) -> Result<(Advisories, String), Error> {
    let sources = sources(conn).await?;
    let version = version_of(&sources);
    let covered: BTreeSet<String> = sources.into_iter().map(|s| s.ecosystem).collect();
    let mut advisories = Advisories::covering(covered.iter().cloned());
    let subjects = packages
        .iter()
        .filter_map(|package| Subject::of_purl(package.purl.as_deref()?).ok());
    let wanted: BTreeSet<(String, String)> = subjects
        .map(|subject| (subject.ecosystem.to_string(), subject.name))
        .filter(|(ecosystem, _)| covered.contains(ecosystem))
        .collect();
    let mut known = BTreeSet::new();
    for (ecosystem, name) in wanted {
        let rows = crate::fetch_all!(
            conn,
            (String, String),
            "SELECT a.id, a.document FROM advisory_package p
                 JOIN advisory a ON a.ecosystem = p.ecosystem AND a.id = p.advisory_id
             WHERE p.ecosystem = $1 AND p.name = $2",
            &ecosystem,
            &name
        )?;
        for (id, document) in rows {
            if !known.insert(id.clone()) {
                continue;
            }
            let record = Record::parse(document.as_bytes());
            advisories.add(record.map_err(|_| Error::Inconsistent {
                table: "advisory",
                column: "document",
                id,
            })?);
        }
    }
    Ok((advisories, version))
}

/// SHA-256 of each stored document of an ecosystem, by advisory.
pub(super) async fn stored(
    conn: &mut Conn,
    ecosystem: &str,
) -> Result<BTreeMap<String, Digest>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String, String),
        "SELECT id, document FROM advisory WHERE ecosystem = $1",
        ecosystem
    )?;
    let hashed = |(id, document): (String, String)| (id, Digest::of(document.as_bytes()));
    Ok(rows.into_iter().map(hashed).collect())
}

/// Writes one record as one ecosystem's, in the place of the one with its id.
pub(super) async fn put(conn: &mut Conn, ecosystem: &str, entry: &Entry) -> Result<(), Error> {
    let record = &entry.record;
    crate::execute!(
        conn,
        "INSERT INTO advisory (id, ecosystem, modified_at, withdrawn_at, document)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (ecosystem, id) DO UPDATE SET modified_at = excluded.modified_at,
             withdrawn_at = excluded.withdrawn_at, document = excluded.document",
        &record.id,
        ecosystem,
        record.modified_at,
        record.withdrawn.then_some(record.modified_at),
        &entry.json
    )?;
    crate::execute!(
        conn,
        "DELETE FROM advisory_package WHERE ecosystem = $1 AND advisory_id = $2",
        ecosystem,
        &record.id
    )?;
    let about = record.affected.iter().filter(|a| a.ecosystem == ecosystem);
    let names: BTreeSet<&str> = about.map(|affected| affected.name.as_str()).collect();
    for name in names {
        crate::execute!(
            conn,
            "INSERT INTO advisory_package (ecosystem, name, advisory_id) VALUES ($1, $2, $3)",
            ecosystem,
            name,
            &record.id
        )?;
    }
    Ok(())
}

/// Forgets a record that its database no longer publishes.
pub(super) async fn forget(conn: &mut Conn, ecosystem: &str, id: &str) -> Result<(), Error> {
    crate::execute!(
        conn,
        "DELETE FROM advisory_package WHERE ecosystem = $1 AND advisory_id = $2",
        ecosystem,
        id
    )?;
    crate::execute!(
        conn,
        "DELETE FROM advisory WHERE ecosystem = $1 AND id = $2",
        ecosystem,
        id
    )?;
    Ok(())
}

/// Says that an ecosystem is known as of this archive.
pub(super) async fn confirm(conn: &mut Conn, source: &Source) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO advisory_source (ecosystem, digest, records, content_at, confirmed_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (ecosystem) DO UPDATE SET digest = excluded.digest, records = excluded.records,
             content_at = excluded.content_at, confirmed_at = excluded.confirmed_at",
        &source.ecosystem,
        &source.digest,
        source.records,
        source.content_at,
        At(source.confirmed_at).0
    )?;
    Ok(())
}
