//! A zip of OSV records, as advisory databases publish it (`<Ecosystem>/all.zip`), read with limits.

use super::osv::{InvalidRecord, RECORD_BYTES_MAX, Record};
use contract::digest::Digest;
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

/// The zip itself: all of PyPI has about 20 MB, all of Debian about 60 MB.
pub const ARCHIVE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Entries of a zip.
pub const ENTRIES_MAX: usize = 300_000;
/// All records unpacked: they are in memory until they are written.
pub const UNPACKED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Broken records that are named before the rest is only counted.
const NAMED_MAX: usize = 10;

/// What a zip holds.
#[derive(Debug)]
pub struct Archive {
    /// SHA-256 of the zip: the version of the database that a judgement was made with.
    pub digest: Digest,
    /// The newest `modified` in it, µs since 1970 UTC.
    pub newest_modified_at: i64,
    /// How many records speak about each ecosystem (OSV's words).
    pub ecosystems: BTreeMap<String, u32>,
    /// The records, one an id, by id.
    pub entries: Vec<Entry>,
}

/// One record with the bytes that it was read from.
#[derive(Debug)]
pub struct Entry {
    /// What it says.
    pub record: Record,
    /// As published.
    pub json: String,
}

/// Why nothing was imported. It is all or nothing: a database with holes looks like a clean one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotImported {
    /// Not a zip.
    #[error("not a zip archive: {0}")]
    NotZip(String),
    /// Too much of something.
    #[error("the archive has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No records.
    #[error("the archive holds no OSV record (files named <id>.json)")]
    Empty,
    /// Broken records.
    #[error("{count} records are broken: {}", named.join("; "))]
    Broken {
        /// How many.
        count: usize,
        /// The first ones, with the reason.
        named: Vec<String>,
    },
}

impl Archive {
    /// Reads a zip. Only files that end in `.json` count; nothing is written anywhere, so names of
    /// entries are only ever shown.
    pub fn read(bytes: &[u8]) -> Result<Self, NotImported> {
        limited("bytes", bytes.len(), ARCHIVE_BYTES_MAX)?;
        let not_zip = |error: zip::result::ZipError| {
            NotImported::NotZip(error.to_string().chars().take(200).collect())
        };
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(not_zip)?;
        limited("entries", zip.len(), ENTRIES_MAX)?;
        let mut read = Reading::default();
        for index in 0..zip.len() {
            let file = zip.by_index(index).map_err(not_zip)?;
            if !file.is_file() || !file.name().ends_with(".json") {
                continue;
            }
            let name: String = file.name().chars().take(200).collect();
            let mut json = Vec::new();
            // The size in the header is a claim; one byte more than allowed is enough to know.
            let limit = RECORD_BYTES_MAX as u64 + 1;
            match file.take(limit).read_to_end(&mut json) {
                Ok(_) => read.add(&name, json)?,
                Err(error) => read.broken(&name, &error.to_string()),
            }
        }
        read.finish(Digest::of(bytes))
    }
}

fn limited(what: &'static str, count: usize, limit: usize) -> Result<(), NotImported> {
    if count > limit {
        return Err(NotImported::TooMany { what, limit });
    }
    Ok(())
}

#[derive(Default)]
struct Reading {
    unpacked: usize,
    entries: BTreeMap<String, Entry>,
    count: usize,
    named: Vec<String>,
}

impl Reading {
    fn add(&mut self, name: &str, json: Vec<u8>) -> Result<(), NotImported> {
        self.unpacked += json.len();
        limited("unpacked bytes", self.unpacked, UNPACKED_BYTES_MAX)?;
        let read = Record::parse(&json).and_then(|record| {
            let json = String::from_utf8(json);
            let json = json.map_err(|_| InvalidRecord::Form("it is not UTF-8".to_owned()))?;
            Ok(Entry { record, json })
        });
        match read {
            Ok(entry) => self.keep(entry),
            Err(error) => self.broken(name, &error.to_string()),
        }
        Ok(())
    }

    /// The same id twice: the newer word counts.
    fn keep(&mut self, entry: Entry) {
        let known = self.entries.get(&entry.record.id);
        if known.is_none_or(|known| known.record.modified_at <= entry.record.modified_at) {
            self.entries.insert(entry.record.id.clone(), entry);
        }
    }

    fn broken(&mut self, name: &str, why: &str) {
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(format!("{name}: {why}"));
        }
    }

    fn finish(self, digest: Digest) -> Result<Archive, NotImported> {
        if self.count > 0 {
            return Err(NotImported::Broken {
                count: self.count,
                named: self.named,
            });
        }
        let entries: Vec<Entry> = self.entries.into_values().collect();
        let newest = entries.iter().map(|entry| entry.record.modified_at).max();
        let newest_modified_at = newest.ok_or(NotImported::Empty)?;
        let mut ecosystems = BTreeMap::new();
        for entry in &entries {
            let named: std::collections::BTreeSet<&str> = entry
                .record
                .affected
                .iter()
                .map(|a| a.ecosystem.as_str())
                .collect();
            for ecosystem in named {
                *ecosystems.entry(ecosystem.to_owned()).or_default() += 1;
            }
        }
        Ok(Archive {
            digest,
            newest_modified_at,
            ecosystems,
            entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in files {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn record(id: &str, modified: &str, ecosystem: &str) -> String {
        format!(
            r#"{{"id":"{id}","modified":"{modified}","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"p"}}}}]}}"#
        )
    }

    #[test]
    fn a_zip_is_read_with_its_version() {
        let old = record("A", "2026-01-01T00:00:00Z", "PyPI");
        let new = record("A", "2026-03-01T00:00:00Z", "PyPI");
        let other = record("B", "2026-02-01T00:00:00Z", "npm");
        let bytes = zip_of(&[
            ("A.json", new.as_bytes()),
            ("old/A.json", old.as_bytes()),
            ("../../B.json", other.as_bytes()),
            ("README.md", b"not a record"),
        ]);
        let archive = Archive::read(&bytes).unwrap();
        assert_eq!(archive.digest, Digest::of(&bytes));
        assert_eq!(archive.entries.len(), 2);
        let newest: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(archive.newest_modified_at, newest.as_microsecond());
        let ecosystems = [("PyPI".to_owned(), 1), ("npm".to_owned(), 1)];
        assert_eq!(archive.ecosystems, BTreeMap::from(ecosystems));
    }

    #[test]
    fn one_broken_record_stops_the_import_and_is_named() {
        let good = record("A", "2026-01-01T00:00:00Z", "PyPI");
        let bytes = zip_of(&[("A.json", good.as_bytes()), ("B.json", b"{}")]);
        let error = Archive::read(&bytes).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("1 records are broken: B.json: "),
            "{error}"
        );
    }

    #[test]
    fn garbage_emptiness_and_bombs_are_refused() {
        assert!(matches!(
            Archive::read(b"hello"),
            Err(NotImported::NotZip(_))
        ));
        assert!(matches!(
            Archive::read(&zip_of(&[])),
            Err(NotImported::Empty)
        ));
        let bomb = vec![b' '; RECORD_BYTES_MAX + 1];
        let bytes = zip_of(&[("bomb.json", &bomb)]);
        assert!(bytes.len() < RECORD_BYTES_MAX / 100, "it is a bomb");
        assert!(matches!(
            Archive::read(&bytes),
            Err(NotImported::Broken { .. })
        ));
        let mut cut = zip_of(&[(
            "A.json",
            record("A", "2026-01-01T00:00:00Z", "npm").as_bytes(),
        )]);
        cut.truncate(cut.len() / 2);
        assert!(Archive::read(&cut).is_err());
    }

    #[test]
    fn every_limit_is_reached() {
        let large = vec![0; ARCHIVE_BYTES_MAX + 1];
        assert!(matches!(
            Archive::read(&large),
            Err(NotImported::TooMany { what: "bytes", .. })
        ));
        assert!(limited("entries", ENTRIES_MAX + 1, ENTRIES_MAX).is_err());
        let mut reading = Reading {
            unpacked: UNPACKED_BYTES_MAX,
            ..Reading::default()
        };
        assert!(reading.add("A.json", vec![b' ']).is_err());
        let many: Vec<(String, &[u8])> = (0..NAMED_MAX + 5)
            .map(|n| (format!("{n}.json"), b"{}".as_slice()))
            .collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), *b)).collect();
        let Err(NotImported::Broken { count, named }) = Archive::read(&zip_of(&many)) else {
            panic!("not refused");
        };
        assert_eq!((count, named.len()), (NAMED_MAX + 5, NAMED_MAX));
    }
}
