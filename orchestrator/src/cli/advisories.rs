//! `sallyport advisories import <folder|zip>`, `sallyport advisories list`.

use super::client::{Answer, Client};
use super::{complain, exit, say};
use crate::config::Place;
use crate::finding::advisory::{ARCHIVE_BYTES_MAX, ENTRIES_MAX, RECORD_BYTES_MAX};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Folders within folders: `<Ecosystem>/<id>.json` needs two.
const DEPTH_MAX: usize = 8;

#[derive(Debug, Subcommand)]
pub(super) enum AdvisoriesCommand {
    /// Import OSV records: a zip as osv.dev publishes it, or a folder of such zips or of
    /// `<id>.json` files. What it holds takes the place of what was known of its ecosystems.
    Import {
        /// The zip or folder.
        path: PathBuf,
    },
    /// What is known, and since when.
    List,
}

pub(super) async fn run(config: &Place, command: AdvisoriesCommand) -> anyhow::Result<u8> {
    let client = Client::open(config)?;
    match command {
        AdvisoriesCommand::Import { path } => {
            for (name, zip) in archives(&path)? {
                match client.put_bytes::<Value>("/api/v1/advisories", zip).await? {
                    Answer::Good(done) => report(&name, &done),
                    Answer::Refused(code) => return Ok(code),
                }
            }
        }
        AdvisoriesCommand::List => match client.get::<Vec<Value>>("/api/v1/advisories").await? {
            Answer::Good(sources) if sources.is_empty() => {
                complain("no advisories are known: every package is *not checked*");
                return Ok(exit::NO);
            }
            Answer::Good(sources) => sources.iter().for_each(say_source),
            Answer::Refused(code) => return Ok(code),
        },
    }
    Ok(exit::YES)
}

fn report(name: &str, done: &Value) {
    let number = |key: &str| done.get(key).and_then(Value::as_u64).unwrap_or(0);
    say(&format!(
        "imported {name}: {} records new or changed, {} no longer published",
        number("changed"),
        number("forgotten")
    ));
    let sources = done.get("sources").and_then(Value::as_array);
    sources.into_iter().flatten().for_each(say_source);
    let mentioned = done.get("only_mentioned").and_then(Value::as_object);
    for (ecosystem, records) in mentioned.into_iter().flatten() {
        say(&format!(
            "  {ecosystem}: only mentioned ({records} records), not taken; import its own archive"
        ));
    }
}

fn say_source(source: &Value) {
    let text = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or("");
    let records = source.get("records").and_then(Value::as_i64).unwrap_or(0);
    say(&format!(
        "  {}: {records} records, newest {}, confirmed {}, {}",
        text("ecosystem"),
        text("content_at"),
        text("confirmed_at"),
        text("digest")
    ));
}

/// Each zip by itself; loose records of a folder together as one zip.
fn archives(path: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    if path.is_file() {
        return Ok(vec![(
            path.display().to_string(),
            bounded(path, ARCHIVE_BYTES_MAX)?,
        )]);
    }
    let mut zips = Vec::new();
    let mut records = Vec::new();
    let mut folders = vec![(0, path.to_owned())];
    while let Some((depth, folder)) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("read the folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let found = entry.path();
            // Not through links: the folder is what it seems to be.
            let kind = entry.file_type()?;
            match found.extension().and_then(|e| e.to_str()) {
                _ if kind.is_dir() && depth < DEPTH_MAX => folders.push((depth + 1, found)),
                Some("zip") if kind.is_file() => zips.push(found),
                Some("json") if kind.is_file() => records.push(found),
                _ => {}
            }
        }
        if records.len() > ENTRIES_MAX {
            bail!("{} holds more than {ENTRIES_MAX} records", path.display());
        }
    }
    zips.sort();
    records.sort();
    let mut all = Vec::new();
    for zip in zips {
        all.push((zip.display().to_string(), bounded(&zip, ARCHIVE_BYTES_MAX)?));
    }
    if !records.is_empty() {
        all.push((path.display().to_string(), packed(&records)?));
    }
    if all.is_empty() {
        bail!("{} holds neither a zip nor a .json file", path.display());
    }
    Ok(all)
}

/// The same records give the same bytes, so that an unchanged folder is an unchanged archive.
fn packed(records: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    for (index, record) in records.iter().enumerate() {
        let name = record
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or("record.json");
        zip.start_file(format!("{index}/{name}"), options)?;
        zip.write_all(&bounded(record, RECORD_BYTES_MAX)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn bounded(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {}", path.display()))?;
    if bytes.len() > limit {
        bail!("{} is larger than {limit} bytes", path.display());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::advisory::Archive;

    const RECORD: &str = r#"{"id":"A-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"p"}}]}"#;

    #[test]
    fn a_folder_becomes_the_same_archive_each_time_and_its_zips_stay_themselves() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("PyPI")).unwrap();
        std::fs::write(folder.path().join("PyPI/A-1.json"), RECORD).unwrap();
        std::fs::write(folder.path().join("README.md"), "about").unwrap();
        let first = archives(folder.path()).unwrap();
        assert_eq!(first, archives(folder.path()).unwrap());
        let [(_, zip)] = first.as_slice() else {
            panic!("{} archives", first.len());
        };
        assert_eq!(Archive::read(zip).unwrap().entries.len(), 1);
        std::fs::write(folder.path().join("all.zip"), zip).unwrap();
        let both = archives(folder.path()).unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(&both[0].1, zip);
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(archives(folder.path()).is_err());
        assert!(archives(&folder.path().join("none")).is_err());
    }
}
