//! An operator brings advisories: what an archive holds takes the place of what was known of its
//! ecosystems.
//!
//! Records are written in small transactions, so that deliveries do not wait behind an import; the
//! source's row comes last, so that an import that was cut short is not taken for one.

use super::archive::{Archive, Entry, NotImported};
use super::store::{self, Source};
use crate::audit;
use crate::db::Error;
use crate::ground::Ground;
use crate::identity::Actor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records in one transaction: some tens of milliseconds.
const BATCH: usize = 200;
/// An archive covers the ecosystems that at least this share of its records speaks about. The npm
/// archive also names some PyPI packages; three records of thousands are no knowledge of PyPI.
const COVERED_PERCENT: u64 = 10;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The ecosystems that are known now.
    pub sources: Vec<Source>,
    /// Records that are new or have changed.
    pub changed: usize,
    /// Records that are no longer published.
    pub forgotten: usize,
    /// Ecosystems that the archive only mentions, with its records about them: not taken.
    pub only_mentioned: BTreeMap<String, u32>,
}

/// How an import went.
#[derive(Debug)]
pub enum ImportOutcome {
    /// The advisories are known.
    Imported(Imported),
    /// Nothing was taken from this archive.
    Refused(NotImported),
}

/// Imports a zip of OSV records.
pub async fn import(
    ground: &Ground,
    actor: &Actor,
    bytes: bytes::Bytes,
) -> Result<ImportOutcome, Error> {
    let read = tokio::task::spawn_blocking(move || Archive::read(&bytes)).await;
    let archive = match read {
        Ok(Ok(archive)) => Arc::new(archive),
        Ok(Err(refused)) => return Ok(ImportOutcome::Refused(refused)),
        Err(panic) => {
            return Ok(ImportOutcome::Refused(NotImported::NotZip(
                panic.to_string(),
            )));
        }
    };
    let (covered, only_mentioned): (BTreeMap<_, _>, _) = archive
        .ecosystems
        .clone()
        .into_iter()
        .partition(|(_, records)| {
            u64::from(*records) * 100 >= archive.entries.len() as u64 * COVERED_PERCENT
        });
    let mut imported = Imported {
        sources: Vec::new(),
        changed: 0,
        forgotten: 0,
        only_mentioned,
    };
    for (ecosystem, records) in covered {
        imported.sources.push(Source {
            digest: archive.digest.to_string(),
            records: i64::from(records),
            content_at: newest(&archive.entries, &ecosystem),
            confirmed_at: ground.now().0,
            ecosystem: ecosystem.clone(),
        });
        let forgotten = write_records(ground, &archive, &ecosystem, &mut imported.changed).await?;
        imported.forgotten += forgotten.len();
        forget_records(ground, ecosystem, forgotten).await?;
    }
    confirm(ground, actor, &archive, &imported).await?;
    Ok(ImportOutcome::Imported(imported))
}

fn about<'a>(entries: &'a [Entry], ecosystem: &'a str) -> impl Iterator<Item = (usize, &'a Entry)> {
    entries.iter().enumerate().filter(move |(_, entry)| {
        let affected = &entry.record.affected;
        affected
            .iter()
            .any(|affected| affected.ecosystem == ecosystem)
    })
}

fn newest(entries: &[Entry], ecosystem: &str) -> i64 {
    let times = about(entries, ecosystem).map(|(_, entry)| entry.record.modified_at);
    times.max().unwrap_or(0)
}

/// Writes what is new or has changed; gives what is no longer published.
async fn write_records(
    ground: &Ground,
    archive: &Arc<Archive>,
    ecosystem: &str,
    changed: &mut usize,
) -> Result<Vec<String>, Error> {
    let mut conn = ground.db.reader().await?;
    let mut known = store::stored(&mut conn, ecosystem).await?;
    drop(conn);
    let mut differs = Vec::new();
    for (index, entry) in about(&archive.entries, ecosystem) {
        let stored = known.remove(&entry.record.id);
        if stored != Some(contract::digest::Digest::of(entry.json.as_bytes())) {
            differs.push(index);
        }
    }
    *changed += differs.len();
    for batch in differs.chunks(BATCH) {
        let (archive, ecosystem) = (Arc::clone(archive), ecosystem.to_owned());
        let batch = batch.to_vec();
        // Each record stands by its key alone, and the source's row says when all are there.
        let write = ground.db.write_guarded("finding.advisories", move |conn| {
            Box::pin(async move {
                for entry in batch.iter().filter_map(|index| archive.entries.get(*index)) {
                    store::put(conn, &ecosystem, entry).await?;
                }
                Ok::<(), Error>(())
            })
        });
        write.await?;
    }
    Ok(known.into_keys().collect())
}

async fn forget_records(
    ground: &Ground,
    ecosystem: String,
    forgotten: Vec<String>,
) -> Result<(), Error> {
    if forgotten.is_empty() {
        return Ok(());
    }
    let write = ground.db.write("finding.advisories-forget", move |conn| {
        Box::pin(async move {
            for id in &forgotten {
                store::forget(conn, &ecosystem, id).await?;
            }
            Ok::<(), Error>(())
        })
    });
    write.await
}

async fn confirm(
    ground: &Ground,
    actor: &Actor,
    archive: &Archive,
    imported: &Imported,
) -> Result<(), Error> {
    let names: Vec<String> = imported
        .sources
        .iter()
        .map(|s| s.ecosystem.clone())
        .collect();
    let record = audit::Record::new(
        "advisory.imported",
        format!("advisories:{}", archive.digest),
        actor,
    )
    .with("ecosystems", names)
    .with("records", archive.entries.len())
    .with("changed", imported.changed)
    .with("forgotten", imported.forgotten);
    let (sources, at) = (imported.sources.clone(), ground.now());
    let ids = Arc::clone(&ground.ids);
    let write = ground.db.write("finding.advisories-confirm", move |conn| {
        Box::pin(async move {
            for source in &sources {
                store::confirm(conn, source).await?;
            }
            audit::append(conn, at, ids.as_ref(), record).await?;
            Ok::<(), Error>(())
        })
    });
    write.await
}
