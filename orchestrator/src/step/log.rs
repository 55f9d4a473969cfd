//! Logs of steps: chunks appended in order under a running hash, acknowledged when durable, read by
//! pages while they grow.

use super::state::{Error, LeaseKey, StepId};
use super::store::{self, ChunkRow};
use crate::ground::Ground;
use bytes::Bytes;
use contract::digest::Digest;
use contract::protocol::{LOG_BYTES_MAX, LOG_CHUNK_BYTES_MAX, LogAnswer};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// Files of a log are at most this long (DECISIONS 23): a page never opens a huge file.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// A page reads at most this much at once.
const SLICE_BYTES_MAX: u64 = 512 * 1024;
/// Followers that are further behind look at the log again instead.
const FOLLOW_BACKLOG: usize = 1024;

/// A chunk as a worker sends it.
pub struct Chunk {
    /// Its number, from 0.
    pub sequence: i64,
    /// Where it begins.
    pub offset: i64,
    /// Running SHA-256 up to its end.
    pub sha256: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Chunk {
    /// Whether it is empty or longer than a chunk may be.
    pub(super) fn is_out_of_bounds(&self) -> bool {
        self.bytes.is_empty() || self.bytes.len() > LOG_CHUNK_BYTES_MAX
    }
}

/// What came of a chunk.
#[derive(Debug, Clone)]
pub enum Appended {
    /// It is durable, now or since before.
    Durable(LogAnswer),
    /// The lease has passed on.
    LeaseLost,
    /// It does not continue what is durable; in words.
    OutOfOrder(String),
    /// Larger than a chunk or a log may be.
    TooLarge,
}

/// A log grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// Whose.
    pub step: StepId,
    /// Under which lease.
    pub fence: i64,
    /// Its new end.
    pub end: i64,
}

/// A part of a log.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The bytes, up to a line's end where there is one.
    pub bytes: Vec<u8>,
    /// Where they end: the next offset to ask for.
    pub next_offset: i64,
    /// The durable end of the log at this moment.
    pub end: i64,
    /// Bytes that the step printed beyond what is kept, as its report says; 0 before the report.
    pub dropped: i64,
}

/// The end of what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Chunks.
    pub chunks: i64,
    /// Bytes.
    pub bytes: i64,
}

/// The folder of logs. Cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    open: Mutex<HashMap<(StepId, i64), Slot>>,
    grown: broadcast::Sender<Grown>,
}

/// One log is written by one request at a time.
type Slot = Arc<tokio::sync::Mutex<Option<Running>>>;

/// The running hash at the durable end.
struct Running {
    next_sequence: i64,
    sha: Sha256,
}

impl Logs {
    /// Keeps logs below this folder (made when needed).
    pub fn new(root: &Path) -> Self {
        Self(Arc::new(Inner {
            root: root.to_owned(),
            open: Mutex::default(),
            grown: broadcast::channel(FOLLOW_BACKLOG).0,
        }))
    }

    /// Tells of each growth of any log; who lags reads the log again.
    pub fn follow(&self) -> broadcast::Receiver<Grown> {
        self.0.grown.subscribe()
    }

    /// Appends a chunk; answers when it is durable.
    pub async fn append(
        &self,
        ground: &Ground,
        key: &LeaseKey,
        chunk: Chunk,
    ) -> Result<Appended, Error> {
        if chunk.is_out_of_bounds() {
            return Ok(Appended::TooLarge);
        }
        let slot = self.slot(key);
        let mut running = slot.lock().await;
        let last = {
            let mut conn = ground.db.reader().await?;
            if store::held(&mut conn, key).await?.is_none() {
                drop(running);
                self.forget(&key.step, key.fence);
                return Ok(Appended::LeaseLost);
            }
            if let Some(row) = store::chunk(&mut conn, &key.step, key.fence, chunk.sequence).await?
            {
                return self.repeated(&mut conn, key, &chunk, &row).await;
            }
            store::last_chunk(&mut conn, &key.step, key.fence).await?
        };
        let next = answer(last.as_ref());
        if chunk.sequence != next.next_sequence || chunk.offset != next.next_offset {
            return Ok(Appended::OutOfOrder(format!(
                "chunk {} at {} does not continue: chunk {} at {} is next",
                chunk.sequence, chunk.offset, next.next_sequence, next.next_offset
            )));
        }
        let length = i64::try_from(chunk.bytes.len()).unwrap_or(i64::MAX);
        let end = chunk.offset.saturating_add(length);
        if u64::try_from(end).unwrap_or(u64::MAX) > LOG_BYTES_MAX {
            return Ok(Appended::TooLarge);
        }
        let mut sha = match running.take() {
            Some(at) if at.next_sequence == chunk.sequence => at.sha,
            Some(_) | None => self.hash_again(key, last.as_ref()).await?,
        };
        let before = sha.clone();
        sha.update(&chunk.bytes);
        if Digest::from_bytes(sha.clone().finalize().into()) != chunk.sha256 {
            *running = Some(Running {
                next_sequence: chunk.sequence,
                sha: before,
            });
            return Ok(Appended::OutOfOrder(
                "the running hash is another one".to_owned(),
            ));
        }
        self.write(key, chunk.offset, chunk.bytes).await?;
        let row = ChunkRow {
            sequence: chunk.sequence,
            at_offset: chunk.offset,
            bytes: length,
            sha256: chunk.sha256.hex(),
        };
        if !insert(ground, key, row).await? {
            drop(running);
            self.forget(&key.step, key.fence);
            return Ok(Appended::LeaseLost);
        }
        let next_sequence = chunk.sequence.saturating_add(1);
        *running = Some(Running { next_sequence, sha });
        // Nobody may be following.
        drop(self.0.grown.send(Grown {
            step: key.step.clone(),
            fence: key.fence,
            end,
        }));
        Ok(Appended::Durable(LogAnswer {
            next_sequence,
            next_offset: end,
        }))
    }

    /// Reads what is durable from `offset`: at most half a MiB, whole lines where there are
    /// any.
    pub async fn read(
        &self,
        ground: &Ground,
        step: &StepId,
        fence: i64,
        offset: i64,
    ) -> Result<Slice, Error> {
        let end = self.end(ground, step, fence).await?.bytes;
        let from = offset.clamp(0, end);
        let wanted = u64::try_from(end - from).unwrap_or(0).min(SLICE_BYTES_MAX);
        let mut bytes = self.read_files(step, fence, from, wanted).await?;
        let whole = from.saturating_add(i64::try_from(bytes.len()).unwrap_or(0)) == end;
        if !whole && let Some(at) = bytes.iter().rposition(|b| *b == b'\n') {
            bytes.truncate(at + 1);
        }
        let next_offset = from.saturating_add(i64::try_from(bytes.len()).unwrap_or(0));
        let dropped = {
            let mut conn = ground.db.reader().await?;
            store::log_dropped(&mut conn, step, fence).await?
        };
        Ok(Slice {
            bytes,
            next_offset,
            end,
            dropped,
        })
    }

    /// The durable end of a log: chunks are appended without a gap, so the last one tells it.
    pub async fn end(&self, ground: &Ground, step: &StepId, fence: i64) -> Result<LogEnd, Error> {
        let mut conn = ground.db.reader().await?;
        let last = store::last_chunk(&mut conn, step, fence).await?;
        let next = answer(last.as_ref());
        Ok(LogEnd {
            chunks: next.next_sequence,
            bytes: next.next_offset,
        })
    }

    /// SHA-256 of what the files hold up to `bytes`; none when they hold less.
    pub(super) async fn hash(
        &self,
        step: &StepId,
        fence: i64,
        bytes: i64,
    ) -> Result<Option<Digest>, Error> {
        let sha = self.hash_files(step, fence, bytes).await?;
        Ok(sha.map(|sha| Digest::from_bytes(sha.finalize().into())))
    }

    /// Forgets the running hash of a log that nobody writes any more.
    pub(super) fn forget(&self, step: &StepId, fence: i64) {
        self.open().remove(&(step.clone(), fence));
    }

    async fn repeated(
        &self,
        conn: &mut crate::db::Conn,
        key: &LeaseKey,
        chunk: &Chunk,
        row: &ChunkRow,
    ) -> Result<Appended, Error> {
        let same = row.at_offset == chunk.offset
            && usize::try_from(row.bytes) == Ok(chunk.bytes.len())
            && row.sha256 == chunk.sha256.hex();
        if !same {
            return Ok(Appended::OutOfOrder(format!(
                "chunk {} is durable with other bytes",
                chunk.sequence
            )));
        }
        let last = store::last_chunk(conn, &key.step, key.fence).await?;
        Ok(Appended::Durable(answer(last.as_ref())))
    }

    /// The hash of what is durable, from the files: this process has just started.
    async fn hash_again(&self, key: &LeaseKey, last: Option<&ChunkRow>) -> Result<Sha256, Error> {
        let Some(last) = last else {
            return Ok(Sha256::new());
        };
        let damaged = || Error::LogDamaged {
            step: key.step.clone(),
            fence: key.fence,
        };
        let sha = self
            .hash_files(&key.step, key.fence, last.at_offset + last.bytes)
            .await?
            .ok_or_else(damaged)?;
        if hex::encode(sha.clone().finalize()) == last.sha256 {
            Ok(sha)
        } else {
            Err(damaged())
        }
    }

    async fn hash_files(
        &self,
        step: &StepId,
        fence: i64,
        bytes: i64,
    ) -> Result<Option<Sha256>, Error> {
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < bytes {
            let wanted = u64::try_from(bytes - at).unwrap_or(0).min(SLICE_BYTES_MAX);
            let part = self.read_files(step, fence, at, wanted).await?;
            if part.is_empty() {
                return Ok(None);
            }
            at = at.saturating_add(i64::try_from(part.len()).unwrap_or(i64::MAX));
            sha.update(&part);
        }
        Ok(Some(sha))
    }

    async fn write(&self, key: &LeaseKey, offset: i64, bytes: Bytes) -> Result<(), Error> {
        let folder = self.folder(&key.step, key.fence);
        let offset = u64::try_from(offset).unwrap_or(0);
        let writing = blocking(move || write_segments(&folder, offset, &bytes));
        crate::kill::outside("log.append", writing)
            .await
            .map_err(|source| failed(key, source))
    }

    async fn read_files(
        &self,
        step: &StepId,
        fence: i64,
        offset: i64,
        bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let folder = self.folder(step, fence);
        let offset = u64::try_from(offset).unwrap_or(0);
        blocking(move || read_segments(&folder, offset, bytes))
            .await
            .map_err(|source| Error::Log {
                step: step.clone(),
                fence,
                source,
            })
    }

    fn folder(&self, step: &StepId, fence: i64) -> PathBuf {
        self.0.root.join(step.as_str()).join(fence.to_string())
    }

    fn slot(&self, key: &LeaseKey) -> Slot {
        Arc::clone(
            self.open()
                .entry((key.step.clone(), key.fence))
                .or_default(),
        )
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<(StepId, i64), Slot>> {
        // A panic while it was held leaves a map that is still whole.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn insert(ground: &Ground, key: &LeaseKey, row: ChunkRow) -> Result<bool, Error> {
    let (now, key) = (ground.now(), key.clone());
    // One guarded INSERT under a unique key: READ COMMITTED is enough.
    ground
        .db
        .write_guarded("step.log-chunk", move |conn| {
            Box::pin(
                async move { Ok::<_, Error>(store::insert_chunk(conn, &key, &row, now).await?) },
            )
        })
        .await
}

fn answer(last: Option<&ChunkRow>) -> LogAnswer {
    match last {
        Some(row) => LogAnswer {
            next_sequence: row.sequence + 1,
            next_offset: row.at_offset + row.bytes,
        },
        None => LogAnswer {
            next_sequence: 0,
            next_offset: 0,
        },
    }
}

fn failed(key: &LeaseKey, source: io::Error) -> Error {
    Error::Log {
        step: key.step.clone(),
        fence: key.fence,
        source,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn segment(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index:04}.log"))
}

/// Writes at its place: what a crash left behind the durable end is overwritten.
fn write_segments(folder: &Path, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (index, within) = (offset / SEGMENT_BYTES, offset % SEGMENT_BYTES);
        let room = usize::try_from(SEGMENT_BYTES - within).unwrap_or(usize::MAX);
        let (part, rest) = bytes.split_at(room.min(bytes.len()));
        let path = segment(folder, index);
        let file = open_segment(folder, &path)?;
        file.write_all_at(part, within)?;
        file.sync_data()?;
        offset += part.len() as u64;
        bytes = rest;
    }
    Ok(())
}

fn open_segment(folder: &Path, path: &Path) -> io::Result<File> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            for made in folder.ancestors().take(3) {
                File::open(made)?.sync_all()?;
            }
            Ok(file)
        }
        opened => opened,
    }
}

fn read_segments(folder: &Path, mut offset: u64, mut wanted: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while wanted > 0 {
        let (index, within) = (offset / SEGMENT_BYTES, offset % SEGMENT_BYTES);
        let part = wanted.min(SEGMENT_BYTES - within);
        let mut buffer = vec![0; usize::try_from(part).unwrap_or(0)];
        let file = match File::open(segment(folder, index)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], within + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.extend_from_slice(&buffer[..read]);
        if (read as u64) < part {
            break;
        }
        offset += part;
        wanted -= part;
    }
    Ok(bytes)
}
