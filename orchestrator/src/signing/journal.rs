//! The signer's journal: every signature that was ever given, appended and synced before it is
//! handed out. The same request gets the same signature again, also after a crash.
//!
//! Format, version 1: one record a line, `<16 hex> <JSON>\n`. The hex is the start of SHA-256 over the
//! line's JSON and the previous line's full hash, so that a line cannot be changed or taken out unseen.

use super::keystore::KeyRole;
use super::protocol::{Signed, base64_bytes};
use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A record holds a decision with its approvals at most.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
const CHECK_HEX: usize = 16;

/// One signature that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 1.
    pub version: u32,
    /// The server's id of the request.
    pub request_id: String,
    /// When (µs since 1970 UTC, the signer's clock).
    pub at: i64,
    /// By which key's role.
    pub role: KeyRole,
    /// By which key.
    pub key_id: String,
    /// SHA-256 of the signed bytes.
    pub signed_digest: Digest,
    /// The image.
    pub subject: Digest,
    /// The predicate type of a statement; the reference of an image signature.
    pub about: String,
    /// What a statement calls the image: its repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What permitted it, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<String>,
    /// The signature (DER).
    #[serde(with = "base64_bytes")]
    pub signature: Vec<u8>,
}

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file.
    #[error("{what} the signer's journal {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line that was changed, or one before it was.
    #[error(
        "the signer's journal {path} is damaged at line {line} (byte {byte}): {problem}; \
         restore it from a backup: without it the same request could be signed twice"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Which line.
        line: u64,
        /// Where it starts.
        byte: u64,
        /// What is wrong.
        problem: String,
    },
    /// A record that is too long to be written.
    #[error("a record of {0} bytes does not go into the journal")]
    TooLarge(usize),
}

/// The journal, open for appending, with its index in memory.
pub struct Journal {
    path: PathBuf,
    file: File,
    last: [u8; 32],
    by_request: HashMap<String, Record>,
    built_as: HashMap<Digest, BTreeSet<String>>,
    /// A write that failed half-way; nothing more is signed until the file was looked at again.
    broken: bool,
}

impl Journal {
    /// Opens the journal, makes it when there is none, and cuts off a last line that a crash left
    /// half-written: it was never synced, so its signature was never handed out.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let wrong = |what| move |source| file_error(what, path, source);
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(wrong("open"))?;
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(wrong("sync the folder of"))?;
        }
        let mut journal = Self {
            path: path.to_owned(),
            file: file.try_clone().map_err(wrong("open"))?,
            last: [0; 32],
            by_request: HashMap::new(),
            built_as: HashMap::new(),
            broken: false,
        };
        let good = journal.replay(&mut file)?;
        let length = file.metadata().map_err(wrong("look at"))?.len();
        if good < length {
            tracing::warn!(
                journal = %path.display(),
                bytes = length - good,
                "cut off a record that a crash left half-written"
            );
            file.set_len(good)
                .and_then(|()| file.sync_all())
                .map_err(wrong("cut"))?;
        }
        journal
            .file
            .seek(SeekFrom::Start(good))
            .map_err(wrong("seek in"))?;
        Ok(journal)
    }

    /// The record of a request.
    pub fn record(&self, request_id: &str) -> Option<&Record> {
        self.by_request.get(request_id)
    }

    /// What this image is called in the provenance that was signed here; `None` when none was.
    pub fn built_as(&self, image: &Digest) -> Option<&BTreeSet<String>> {
        self.built_as.get(image)
    }

    /// Appends and syncs; only then may the signature leave the process.
    pub fn append(&mut self, record: Record) -> Result<Signed, JournalError> {
        if self.broken {
            let again = Self::open(&self.path)?;
            *self = again;
        }
        let json = serde_json::to_string(&record)
            .map_err(|e| file_error("write a record for", &self.path, std::io::Error::other(e)))?;
        if json.len() > LINE_BYTES_MAX {
            return Err(JournalError::TooLarge(json.len()));
        }
        let hash = chained(&self.last, json.as_bytes());
        let line = format!("{} {json}\n", &hex::encode(hash)[..CHECK_HEX]);
        self.broken = true;
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|source| file_error("append to", &self.path, source))?;
        self.broken = false;
        self.last = hash;
        let signed = record.signed();
        self.index(record);
        Ok(signed)
    }

    /// Reads every line; the end of the last good one.
    fn replay(&mut self, file: &mut File) -> Result<u64, JournalError> {
        let path = self.path.clone();
        let read = |source| file_error("read", &path, source);
        let mut reader = BufReader::new(file);
        let (mut at, mut number) = (0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(read)?;
            if bytes == 0 {
                return Ok(at);
            }
            number += 1;
            let is_last = reader.fill_buf().map_err(read)?.is_empty();
            match self.understand(&line) {
                Ok((record, hash)) => {
                    self.last = hash;
                    self.index(record);
                    at += u64::try_from(bytes).unwrap_or(u64::MAX);
                }
                // Only the last record can be torn, and then it is not a whole record.
                Err(_) if is_last && !is_whole(&line) => return Ok(at),
                Err(problem) => {
                    return Err(JournalError::Damaged {
                        path: path.display().to_string(),
                        line: number,
                        byte: at,
                        problem,
                    });
                }
            }
        }
    }

    fn understand(&self, line: &[u8]) -> Result<(Record, [u8; 32]), String> {
        let line = line.strip_suffix(b"\n").ok_or("no line end")?;
        let (check, rest) = line.split_at_checked(CHECK_HEX).ok_or("too short")?;
        let json = rest.strip_prefix(b" ").ok_or("no space")?;
        let hash = chained(&self.last, json);
        if &hex::encode(hash).as_bytes()[..CHECK_HEX] != check {
            return Err("its check does not fit".to_owned());
        }
        let record: Record = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        if record.version != 1 {
            return Err(format!("version {}", record.version));
        }
        Ok((record, hash))
    }

    fn index(&mut self, record: Record) {
        if record.about == evidence::names::SLSA_PROVENANCE {
            let names = self.built_as.entry(record.subject).or_default();
            names.extend(record.name.clone());
        }
        self.by_request.insert(record.request_id.clone(), record);
    }
}

impl Record {
    /// The signature, as it is handed out.
    pub fn signed(&self) -> Signed {
        Signed {
            key_id: self.key_id.clone(),
            signature: self.signature.clone(),
        }
    }
}

/// Whether a line is a record from end to end, whatever its check says.
fn is_whole(line: &[u8]) -> bool {
    let json = line
        .strip_suffix(b"\n")
        .and_then(|line| line.get(CHECK_HEX..));
    json.is_some_and(|json| serde_json::from_slice::<Record>(json).is_ok())
}

fn chained(previous: &[u8; 32], json: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(previous)
        .chain_update(json)
        .finalize()
        .into()
}

fn file_error(what: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::File {
        what,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Record {
        Record {
            version: 1,
            request_id: id.to_owned(),
            at: 1_790_000_000_000_000,
            role: KeyRole::Provenance,
            key_id: "0011223344556677".to_owned(),
            signed_digest: Digest::of(b"signed"),
            subject: Digest::of(id.as_bytes()),
            about: evidence::names::SLSA_PROVENANCE.to_owned(),
            // Records from before it was kept have none.
            name: (id != "a").then(|| "r.example/quarantine/web".to_owned()),
            grounds: None,
            signature: vec![1, 2, 3],
        }
    }

    fn journal_of(ids: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        for id in ids {
            journal.append(record(id)).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn a_journal_reads_as_ever() {
        let (_folder, path) = journal_of(&["a"]);
        insta::assert_snapshot!(std::fs::read_to_string(path).unwrap(), @r#"35ba498ce98eeb23 {"version":1,"request_id":"a","at":1790000000000000,"role":"provenance","key_id":"0011223344556677","signed_digest":"sha256:4a3cdfae6f291c8f544daea5b72905cf9e74c1ed427d831ad0d7ca00c73c794d","subject":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","about":"https://slsa.dev/provenance/v1","signature":"AQID"}"#);
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let (_folder, path) = journal_of(&["a", "b"]);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.record("a"), Some(&record("a")));
        let names = BTreeSet::from(["r.example/quarantine/web".to_owned()]);
        assert_eq!(journal.built_as(&Digest::of(b"b")), Some(&names));
        assert_eq!(journal.built_as(&Digest::of(b"c")), None);
    }

    /// Power goes at every byte of the last record: what was whole before stays, and the next one
    /// goes on after it.
    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_tore() {
        let (_folder, path) = journal_of(&["a", "b"]);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert!(journal.record("a").is_some() && journal.record("b").is_none());
            journal.append(record("b")).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_or_missing_record_closes_the_journal() {
        let (_folder, path) = journal_of(&["a", "b", "c"]);
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let changed = whole.replacen("0011223344556677", "0011223344556678", 1);
        let missing = format!("{}\n{}\n", lines[0], lines[2]);
        let reordered = format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]);
        for bad in [changed, missing, reordered] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(
                Journal::open(&path),
                Err(JournalError::Damaged { .. })
            ));
        }
    }
}
