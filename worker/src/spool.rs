//! A step's log between the container that prints it and the orchestrator that keeps it.
//!
//! What is printed goes into a file first and is sent from there, in order, in chunks with number,
//! offset and running hash; a chunk is repeated, byte for byte, until it is acknowledged. So a step
//! goes on printing while the orchestrator is away, and nothing is lost or doubled.
//! Nothing here outlives the worker's process: a step that was interrupted is not resumed.

use crate::clock::Clock;
use crate::redact::{Masker, Secrets};
use contract::digest::Digest;
use contract::protocol::{
    LOG_BYTES_MAX, LOG_CHUNK_BYTES_MAX, LOG_SECTION_PREFIX, LogAnswer, LogEnd,
};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Kept free for the worker's own words, so that a step that floods its log cannot hide how it
/// ended.
pub const OWN_WORDS_BYTES: u64 = 256 * 1024;
/// What is printed within this time goes in one chunk: a tenth of the second that a reader waits.
pub const GATHER: Duration = Duration::from_millis(100);
/// Log text of one section title; the rest is cut.
pub const TITLE_BYTES_MAX: usize = 500;

/// What went wrong with a spool file.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder could not be made or emptied.
    #[error("could not prepare the spool folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file could not be made, written or read.
    #[error("could not use the spool file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Makes the spool folder, empty: what an earlier process left is of no use to this one.
pub fn clear(folder: &Path) -> Result<(), SpoolError> {
    let failed = |source| SpoolError::Folder {
        path: folder.to_owned(),
        source,
    };
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)
}

/// The writing side of a step's log. Clones write to the same log.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    file: File,
    secrets: Secrets,
    state: Mutex<State>,
    news: Notify,
    clock: Arc<dyn Clock>,
    first_output_at: AtomicI64,
}

#[derive(Default)]
struct State {
    written: u64,
    dropped: u64,
    closed: bool,
    broken: Option<io::Error>,
    /// The last byte was a line's end, so that our own words begin a line.
    inside_line: bool,
}

impl Log {
    /// A new, empty log in this file.
    pub fn create(
        path: PathBuf,
        secrets: Secrets,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SpoolError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|source| SpoolError::File {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                file,
                secrets,
                state: Mutex::new(State::default()),
                news: Notify::new(),
                clock,
                first_output_at: AtomicI64::new(0),
            }),
        })
    }

    /// Begins a section: what follows is folded under this title on the page.
    pub fn section(&self, title: &str) {
        let title: String = title
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(TITLE_BYTES_MAX)
            .collect();
        self.line(&format!("{LOG_SECTION_PREFIX}{title}"));
    }

    /// The worker's own words, a line of their own.
    pub fn line(&self, text: &str) {
        let text = self.shared.secrets.mask(text);
        let mut state = self.state();
        let start = if state.inside_line { "\n" } else { "" };
        self.append(
            &mut state,
            format!("{start}{text}\n").as_bytes(),
            LOG_BYTES_MAX,
        );
    }

    /// Says how much of what was printed is not kept, when it is not all of it.
    pub fn what_was_cut(&self) {
        let dropped = self.state().dropped;
        if dropped > 0 {
            let size = in_words(dropped);
            self.line(&format!("… {size} more were printed and are not kept"));
        }
    }

    /// One container's stream, masked on its way.
    pub fn stream(&self) -> LogStream {
        LogStream {
            log: self.clone(),
            masker: self.shared.secrets.masker(),
        }
    }

    /// When a container first printed something.
    pub fn first_output_at(&self) -> Option<i64> {
        match self.shared.first_output_at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(at),
        }
    }

    /// Nothing more will be written.
    pub fn close(&self) {
        self.state().closed = true;
        self.shared.news.notify_one();
    }

    /// The reading side. There is one sender a log.
    pub fn sender(&self) -> LogSender {
        LogSender {
            shared: self.shared.clone(),
            sequence: 0,
            offset: 0,
            hash: Sha256::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, state: &mut State, bytes: &[u8], limit: u64) {
        let space = limit.saturating_sub(state.written);
        let taken = bytes
            .len()
            .min(usize::try_from(space).unwrap_or(usize::MAX));
        let (kept, over) = bytes.split_at(taken);
        state.dropped += over.len() as u64;
        if kept.is_empty() || state.broken.is_some() {
            return;
        }
        if let Err(error) = self.shared.file.write_all_at(kept, state.written) {
            state.broken = Some(error);
        } else {
            state.written += kept.len() as u64;
            state.inside_line = kept.last() != Some(&b'\n');
        }
        self.shared.news.notify_one();
    }
}

/// A number of bytes for people.
fn in_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// One container's output on its way into the log.
pub struct LogStream {
    log: Log,
    masker: Masker,
}

impl LogStream {
    /// Takes what the container printed; any bytes, not only text.
    pub fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let now = self.log.shared.clock.now_micros();
        let first = &self.log.shared.first_output_at;
        let _ = first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let certain = self.masker.push(bytes);
        self.put(&certain);
    }

    fn put(&self, bytes: &[u8]) {
        let mut state = self.log.state();
        self.log
            .append(&mut state, bytes, LOG_BYTES_MAX - OWN_WORDS_BYTES);
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        let rest = self.masker.finish();
        self.put(&rest);
    }
}

/// A piece of the log with its place in it.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Its number, from 0.
    pub sequence: i64,
    /// Where its first byte stands in the log.
    pub offset: i64,
    /// The bytes; at most [`LOG_CHUNK_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// SHA-256 over the log up to the end of this chunk.
    pub running: Digest,
    hash_after: Sha256,
}

/// The orchestrator holds something else than what was sent.
#[derive(Debug, thiserror::Error)]
#[error(
    "the orchestrator expects chunk {next_sequence} at {next_offset}, not what follows {sequence}"
)]
pub struct OutOfStep {
    sequence: i64,
    next_sequence: i64,
    next_offset: i64,
}

/// The reading side of a log.
pub struct LogSender {
    shared: Arc<Shared>,
    sequence: i64,
    offset: u64,
    hash: Sha256,
}

impl LogSender {
    /// Waits for the next chunk; none when the log is closed and everything is acknowledged. The
    /// same chunk comes again until [`Self::acknowledge`] is called.
    pub async fn next(&mut self) -> Result<Option<Chunk>, SpoolError> {
        loop {
            let (available, closed) = self.available()?;
            if available > 0 {
                self.gather().await?;
                return self.read().map(Some);
            }
            if closed {
                return Ok(None);
            }
            self.shared.news.notified().await;
        }
    }

    /// Waits for what goes in the same chunk: for [`GATHER`], unless it is full or nothing more will come.
    async fn gather(&self) -> Result<(), SpoolError> {
        let mut over = std::pin::pin!(tokio::time::sleep(GATHER));
        loop {
            let (available, closed) = self.available()?;
            if closed || available >= LOG_CHUNK_BYTES_MAX as u64 {
                return Ok(());
            }
            tokio::select! {
                () = &mut over => return Ok(()),
                () = self.shared.news.notified() => {}
            }
        }
    }

    /// The chunk is durable at the orchestrator.
    pub fn acknowledge(&mut self, chunk: Chunk, answer: &LogAnswer) -> Result<(), OutOfStep> {
        let end = chunk.offset + i64::try_from(chunk.bytes.len()).unwrap_or(i64::MAX);
        if answer.next_sequence != chunk.sequence + 1 || answer.next_offset != end {
            return Err(OutOfStep {
                sequence: chunk.sequence,
                next_sequence: answer.next_sequence,
                next_offset: answer.next_offset,
            });
        }
        self.sequence += 1;
        self.offset += chunk.bytes.len() as u64;
        self.hash = chunk.hash_after;
        Ok(())
    }

    /// What was sent and acknowledged, and what was never kept.
    pub fn end(&self) -> LogEnd {
        let dropped = self.state().dropped;
        LogEnd {
            chunks: self.sequence,
            bytes: i64::try_from(self.offset).unwrap_or(i64::MAX),
            sha256: Digest::from_bytes(self.hash.clone().finalize().into()),
            dropped_bytes: i64::try_from(dropped).unwrap_or(i64::MAX),
        }
    }

    fn available(&self) -> Result<(u64, bool), SpoolError> {
        let mut state = self.state();
        if let Some(source) = state.broken.take() {
            state.broken = Some(io::Error::new(source.kind(), source.to_string()));
            return Err(self.failed(source));
        }
        Ok((state.written - self.offset, state.closed))
    }

    fn read(&self) -> Result<Chunk, SpoolError> {
        let (available, _) = self.available()?;
        let length = usize::try_from(available)
            .unwrap_or(LOG_CHUNK_BYTES_MAX)
            .min(LOG_CHUNK_BYTES_MAX);
        let mut bytes = vec![0; length];
        self.shared
            .file
            .read_exact_at(&mut bytes, self.offset)
            .map_err(|source| self.failed(source))?;
        let mut hash_after = self.hash.clone();
        hash_after.update(&bytes);
        Ok(Chunk {
            sequence: self.sequence,
            offset: i64::try_from(self.offset).unwrap_or(i64::MAX),
            bytes,
            running: Digest::from_bytes(hash_after.clone().finalize().into()),
            hash_after,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> SpoolError {
        SpoolError::File {
            path: self.shared.path.clone(),
            source,
        }
    }
}

impl Drop for LogSender {
    fn drop(&mut self) {
        // The file is of no use to anybody after this; a leftover is cleared at the next start.
        let _ = fs::remove_file(&self.shared.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn log(folder: &Path) -> Log {
        Log::create(
            folder.join("step.log"),
            Secrets::default(),
            Arc::new(SystemClock),
        )
        .unwrap()
    }

    fn acknowledged(chunk: &Chunk) -> LogAnswer {
        LogAnswer {
            next_sequence: chunk.sequence + 1,
            next_offset: chunk.offset + i64::try_from(chunk.bytes.len()).unwrap(),
        }
    }

    #[tokio::test]
    async fn what_was_printed_arrives_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let mut sender = log.sender();
        log.section("sh -c true");
        let mut stream = log.stream();
        stream.write(b"one\n");
        let first = sender.next().await.unwrap().unwrap();
        let repeated = sender.next().await.unwrap().unwrap();
        assert_eq!(first.bytes, repeated.bytes, "not acknowledged: sent again");
        sender
            .acknowledge(first.clone(), &acknowledged(&first))
            .unwrap();
        stream.write(b"two\n");
        drop(stream);
        log.close();
        let second = sender.next().await.unwrap().unwrap();
        assert_eq!(
            (second.sequence, second.bytes.as_slice()),
            (1, &b"two\n"[..])
        );
        sender
            .acknowledge(second.clone(), &acknowledged(&second))
            .unwrap();
        assert!(sender.next().await.unwrap().is_none());
        let whole = b"::section:: sh -c true\none\ntwo\n";
        assert_eq!(sender.end().sha256, Digest::of(whole));
        assert_eq!(sender.end().bytes, whole.len() as i64);
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_counted_and_our_own_last_words_still_fit() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let mut sender = log.sender();
        let mut stream = log.stream();
        let megabyte = vec![b'x'; 1024 * 1024];
        for _ in 0..200 {
            stream.write(&megabyte);
        }
        drop(stream);
        log.what_was_cut();
        log.line("ended: exit code 0");
        log.close();
        let mut tail = Vec::new();
        while let Some(chunk) = sender.next().await.unwrap() {
            assert!(chunk.bytes.len() <= LOG_CHUNK_BYTES_MAX);
            tail.clone_from(&chunk.bytes);
            let answer = acknowledged(&chunk);
            sender.acknowledge(chunk, &answer).unwrap();
        }
        let cut = "\n… 142 MB more were printed and are not kept\n";
        let tail = String::from_utf8_lossy(&tail);
        assert!(tail.ends_with(&format!("{cut}ended: exit code 0\n")));
        let end = sender.end();
        assert!(end.bytes as u64 <= LOG_BYTES_MAX);
        let own = cut.len() as i64 + 19;
        assert_eq!(end.bytes + end.dropped_bytes, 200 * 1024 * 1024 + own);
    }

    #[tokio::test]
    async fn an_orchestrator_that_holds_something_else_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let mut sender = log.sender();
        log.line("hello");
        let chunk = sender.next().await.unwrap().unwrap();
        let strange = LogAnswer {
            next_sequence: 7,
            next_offset: 6,
        };
        assert!(sender.acknowledge(chunk, &strange).is_err());
    }
}
