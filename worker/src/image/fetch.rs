//! An image, blob by blob, into an OCI layout: `blobs/sha256/<hex>`, `index.json`, `oci-layout`.
//!
//! The registry's word counts for nothing: every blob is hashed on its way to the disk and is only
//! used when it is the one that the manifest names; the manifest is the one that was asked for.

use crate::step::ArchiveError;
use contract::digest::Digest;
use contract::image::ImageRef;
use futures::StreamExt as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Distribution's own limit for manifests.
const MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// One layer.
const BLOB_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// An image has at most 127 layers in an engine.
const LAYERS_MAX: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Why there is no layout.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The registry does not answer.
    #[error("could not fetch {what}")]
    Transport {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry said no.
    #[error("could not fetch {what}: the registry answered status {status}")]
    Status {
        /// What.
        what: String,
        /// The status.
        status: u16,
    },
    /// What came is something else.
    #[error("{0} has another digest than its name")]
    Digest(String),
    /// More than is taken.
    #[error("the image is too large: {0}")]
    TooLarge(&'static str),
    /// No manifest that is understood.
    #[error("{0} is no image manifest that is understood")]
    Manifest(String),
    /// The disk.
    #[error("could not use the worker's folder")]
    Folder(#[source] io::Error),
    /// A layer is broken.
    #[error("a layer cannot be read")]
    Archive(#[from] ArchiveError),
}

impl FetchError {
    /// Whether the image itself is to blame, and neither the registry nor this worker.
    pub fn is_of_the_image(&self) -> bool {
        match self {
            Self::TooLarge(_) | Self::Manifest(_) => true,
            Self::Archive(error) => !error.is_ours(),
            Self::Transport { .. } | Self::Status { .. } | Self::Digest(_) | Self::Folder(_) => {
                false
            }
        }
    }

    /// Whether the same request may succeed later.
    pub fn may_help_to_repeat(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Digest(_) => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::TooLarge(_) | Self::Manifest(_) | Self::Folder(_) | Self::Archive(_) => false,
        }
    }
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// Not at all.
    Tar,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// One layer of the image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its blob.
    pub digest: Digest,
    /// How it is packed.
    pub kind: LayerKind,
}

/// A fetched image on the disk.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// How many blobs.
    pub blobs: usize,
    /// How many bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Fetches an image with this bearer into a fresh folder; a registry that says nothing for so long counts
/// as down.
pub async fn fetch(
    image: &ImageRef,
    token: &str,
    timeout: Duration,
    folder: &Path,
) -> Result<Layout, FetchError> {
    let blobs = folder.join("blobs/sha256");
    let _ = tokio::fs::remove_dir_all(folder).await;
    tokio::fs::create_dir_all(&blobs)
        .await
        .map_err(FetchError::Folder)?;
    let registry = Registry::new(image, token, timeout)?;
    let mut layout = Layout {
        folder: folder.to_owned(),
        layers: Vec::new(),
        blobs: 0,
        bytes: 0,
    };
    let mut wanted = image.digest;
    let mut manifest = registry.manifest(&mut layout, &wanted).await?;
    if let Some(manifests) = &manifest.manifests {
        wanted =
            for_this_machine(manifests).ok_or_else(|| FetchError::Manifest(image.to_string()))?;
        manifest = registry.manifest(&mut layout, &wanted).await?;
    }
    let (Some(config), Some(layers)) = (&manifest.config, &manifest.layers) else {
        return Err(FetchError::Manifest(image.to_string()));
    };
    if layers.len() > LAYERS_MAX {
        return Err(FetchError::TooLarge("its layers"));
    }
    registry.blob(&mut layout, config).await?;
    for layer in layers {
        let kind = layer_kind(&layer.media_type)
            .ok_or_else(|| FetchError::Manifest(layer.media_type.chars().take(100).collect()))?;
        registry.blob(&mut layout, layer).await?;
        layout.layers.push(Layer {
            digest: layer.digest,
            kind,
        });
    }
    let media_type = manifest.media_type.as_deref().unwrap_or(MANIFEST_TYPES[0]);
    layout.finish(&wanted, media_type).await?;
    Ok(layout)
}

impl Layout {
    /// Where a blob lies.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    #[cfg(test)]
    pub(crate) fn of_layers(folder: PathBuf, layers: Vec<Layer>) -> Self {
        Self {
            folder,
            blobs: layers.len(),
            layers,
            bytes: 0,
        }
    }

    /// Writes the whole layout into a tar.
    pub fn pack(&self, into: &Path) -> Result<(), FetchError> {
        let write = || -> io::Result<()> {
            let mut out = tar::Builder::new(io::BufWriter::new(std::fs::File::create(into)?));
            out.mode(tar::HeaderMode::Deterministic);
            out.append_dir_all(".", &self.folder)?;
            io::Write::flush(&mut out.into_inner()?)
        };
        write().map_err(FetchError::Folder)
    }

    async fn finish(&self, manifest: &Digest, media_type: &str) -> Result<(), FetchError> {
        let size = tokio::fs::metadata(self.blob(manifest))
            .await
            .map_err(FetchError::Folder)?
            .len();
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [{"mediaType": media_type, "digest": manifest, "size": size}],
        });
        for (name, text) in [
            ("index.json", index.to_string()),
            ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#.to_owned()),
        ] {
            tokio::fs::write(self.folder.join(name), text)
                .await
                .map_err(FetchError::Folder)?;
        }
        Ok(())
    }
}

struct Registry {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Registry {
    fn new(image: &ImageRef, token: &str, timeout: Duration) -> Result<Self, FetchError> {
        let host = image.repository.registry();
        // The engine's own rule: plain http is spoken to loopback only.
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let local = name == "localhost" || name.starts_with("127.");
        let scheme = if local { "http" } else { "https" };
        let http = reqwest::Client::builder()
            .no_proxy()
            // A registry could send us anywhere, with a token in hand.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(timeout)
            .build()
            .map_err(|source| FetchError::Transport {
                what: image.to_string(),
                source,
            })?;
        Ok(Self {
            http,
            base: format!("{scheme}://{host}/v2/{}", image.repository.path()),
            token: token.to_owned(),
        })
    }

    async fn manifest(&self, layout: &mut Layout, digest: &Digest) -> Result<Manifest, FetchError> {
        let path = format!("manifests/{digest}");
        self.download(layout, &path, digest, MANIFEST_BYTES_MAX)
            .await?;
        let bytes = tokio::fs::read(layout.blob(digest))
            .await
            .map_err(FetchError::Folder)?;
        serde_json::from_slice(&bytes).map_err(|_| FetchError::Manifest(digest.to_string()))
    }

    async fn blob(&self, layout: &mut Layout, blob: &Descriptor) -> Result<(), FetchError> {
        if blob.size > BLOB_BYTES_MAX {
            return Err(FetchError::TooLarge("one of its blobs"));
        }
        if layout.blob(&blob.digest).exists() {
            return Ok(());
        }
        let path = format!("blobs/{}", blob.digest);
        self.download(layout, &path, &blob.digest, blob.size).await
    }

    async fn download(
        &self,
        layout: &mut Layout,
        path: &str,
        digest: &Digest,
        limit: u64,
    ) -> Result<(), FetchError> {
        let transport = |source| FetchError::Transport {
            what: digest.to_string(),
            source,
        };
        let accept = [INDEX_TYPES, MANIFEST_TYPES].concat().join(", ");
        let response = self
            .http
            .get(format!("{}/{path}", self.base))
            .header(http::header::ACCEPT, accept)
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(transport)?;
        if !response.status().is_success() {
            return Err(FetchError::Status {
                what: digest.to_string(),
                status: response.status().as_u16(),
            });
        }
        let part = layout.folder.join("part");
        let mut file = tokio::fs::File::create(&part)
            .await
            .map_err(FetchError::Folder)?;
        let (mut hash, mut length) = (Sha256::new(), 0_u64);
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(transport)?;
            length += piece.len() as u64;
            if length > limit {
                return Err(FetchError::Digest(digest.to_string()));
            }
            hash.update(&piece);
            file.write_all(&piece).await.map_err(FetchError::Folder)?;
        }
        file.flush().await.map_err(FetchError::Folder)?;
        if Digest::from_bytes(hash.finalize().into()) != *digest {
            return Err(FetchError::Digest(digest.to_string()));
        }
        tokio::fs::rename(&part, layout.blob(digest))
            .await
            .map_err(FetchError::Folder)?;
        layout.blobs += 1;
        layout.bytes += length;
        Ok(())
    }
}

/// Of an index the image for this machine.
fn for_this_machine(manifests: &[Descriptor]) -> Option<Digest> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    manifests
        .iter()
        .find(|manifest| {
            MANIFEST_TYPES.contains(&manifest.media_type.as_str())
                && manifest.platform.as_ref().is_some_and(|platform| {
                    platform.os == "linux" && platform.architecture == architecture
                })
        })
        .map(|manifest| manifest.digest)
}

fn layer_kind(media_type: &str) -> Option<LayerKind> {
    match media_type {
        "application/vnd.oci.image.layer.v1.tar" => Some(LayerKind::Tar),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Some(LayerKind::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd" => Some(LayerKind::Zstd),
        _ => None,
    }
}
