//! The folder of blobs: write beside, fsync, rename, fsync the folder (DECISIONS 23).

use contract::digest::Digest;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Writing failed.
    #[error("write blob {digest}")]
    Write {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Reading failed, or it is not there.
    #[error("read blob {digest}")]
    Read {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What lies there is not what its name says.
    #[error("blob {0} is damaged")]
    Damaged(Digest),
}

/// The store of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Keeps blobs below this folder (made when needed).
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Where a blob lies.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root
            .join("sha256")
            .join(&hex[0..2])
            .join(&hex[2..4])
            .join(&hex)
    }

    /// Stores bytes durably; storing the same again is nothing.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        let path = self.path(&digest);
        let written = tokio::task::spawn_blocking(move || write_durably(&path, &bytes)).await;
        let joined = written.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        joined.map_err(|source| BlobError::Write { digest, source })?;
        Ok(digest)
    }

    /// Reads a blob and checks that it is the one.
    pub async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let failed = |source| BlobError::Read {
            digest: *digest,
            source,
        };
        let bytes = tokio::fs::read(self.path(digest)).await.map_err(failed)?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(BlobError::Damaged(*digest))
        }
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let beside = beside(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename_durably(&beside, path)
}

/// The process id and a counter keep writers of the same blob apart; a leftover is swept.
fn beside(path: &Path) -> PathBuf {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    path.with_extension(format!("part-{}-{count}", std::process::id()))
}

fn rename_durably(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    for made in to.ancestors().skip(1).take(4) {
        std::fs::File::open(made)?.sync_all()?;
    }
    Ok(())
}

/// What came of receiving a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is durable.
    Stored {
        /// Its length.
        bytes: u64,
    },
    /// It is larger than it may be.
    TooLarge,
    /// The bytes are not those of the digest, or they did not all come.
    NotThese,
}

impl Blobs {
    /// Stores what a stream brings, when it is what the digest says and not too long. Never more
    /// than one part of the stream is in memory.
    pub async fn receive<E>(
        &self,
        stream: impl futures::Stream<Item = Result<bytes::Bytes, E>> + Send,
        digest: &Digest,
        bytes_max: u64,
    ) -> Result<Received, BlobError> {
        let path = self.path(digest);
        let beside = beside(&path);
        let outcome = receive_beside(stream, &beside, digest, bytes_max).await;
        let kept = match outcome {
            Ok(Received::Stored { bytes }) => {
                let (from, to) = (beside.clone(), path);
                let renamed = tokio::task::spawn_blocking(move || rename_durably(&from, &to)).await;
                renamed
                    .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
                    .map(|()| Received::Stored { bytes })
            }
            Ok(refused @ (Received::TooLarge | Received::NotThese)) => {
                drop(tokio::fs::remove_file(&beside).await);
                Ok(refused)
            }
            Err(error) => {
                drop(tokio::fs::remove_file(&beside).await);
                Err(error)
            }
        };
        kept.map_err(|source| BlobError::Write {
            digest: *digest,
            source,
        })
    }
}

async fn receive_beside<E>(
    stream: impl futures::Stream<Item = Result<bytes::Bytes, E>> + Send,
    beside: &Path,
    digest: &Digest,
    bytes_max: u64,
) -> std::io::Result<Received> {
    use futures::StreamExt as _;
    use sha2::Digest as _;
    use tokio::io::AsyncWriteExt as _;
    if let Some(folder) = beside.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = tokio::fs::File::create_new(beside).await?;
    let mut sha = sha2::Sha256::new();
    let mut bytes = 0_u64;
    let mut stream = std::pin::pin!(stream);
    while let Some(part) = stream.next().await {
        let Ok(part) = part else {
            return Ok(Received::NotThese);
        };
        bytes += part.len() as u64;
        if bytes > bytes_max {
            return Ok(Received::TooLarge);
        }
        sha.update(&part);
        file.write_all(&part).await?;
    }
    if Digest::from_bytes(sha.finalize().into()) != *digest {
        return Ok(Received::NotThese);
    }
    file.sync_all().await?;
    Ok(Received::Stored { bytes })
}
