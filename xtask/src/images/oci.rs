//! OCI images: configuration and manifest around layers, kept in a content-addressed folder.

use super::layer::Layer;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One image in the cache.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Built {
    /// The repository's name in the registry, such as `base/python`.
    pub(crate) name: String,
    /// The manifest's digest, `sha256:…`.
    pub(crate) digest: String,
    /// The digests of configuration and layers.
    pub(crate) blobs: Vec<String>,
}

/// A folder of blobs by digest.
pub(crate) struct Blobs(PathBuf);

impl Blobs {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join("blobs/sha256"))
            .with_context(|| format!("make {}", folder.display()))?;
        Ok(Self(folder.to_owned()))
    }

    /// The file of a blob.
    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        self.0.join("blobs").join(digest.replace(':', "/"))
    }

    fn put(&self, bytes: &[u8]) -> Result<String> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let path = self.path(&digest);
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        Ok(digest)
    }
}

/// How an image starts when nobody says otherwise.
pub(crate) struct Start<'a> {
    pub(crate) entrypoint: &'a [&'a str],
    pub(crate) command: &'a [&'a str],
}

/// Writes an image's configuration and manifest beside its layers.
pub(crate) fn image(
    blobs: &Blobs,
    name: &str,
    layers: &[&Layer],
    start: &Start<'_>,
) -> Result<Built> {
    let mut descriptors = Vec::new();
    for layer in layers {
        let digest = blobs.put(&layer.bytes)?;
        descriptors.push(json!({"mediaType": LAYER, "size": layer.bytes.len(), "digest": digest}));
    }
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.diff_id))
        .collect();
    // Objects of serde_json are sorted by key, so that the bytes are the same every time.
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2023-11-14T22:13:20Z",
        "config": {
            "User": "65532:65532",
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": start.entrypoint,
            "Cmd": start.command,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))?;
    let config_digest = blobs.put(&config)?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": config.len(), "digest": config_digest},
        "layers": descriptors,
    }))?;
    let digest = blobs.put(&manifest)?;
    let mut needed = vec![config_digest];
    for descriptor in &descriptors {
        needed.extend(descriptor["digest"].as_str().map(str::to_owned));
    }
    Ok(Built {
        name: name.to_owned(),
        digest,
        blobs: needed,
    })
}

/// The media type that a registry is told with the manifest.
pub(crate) const fn manifest_type() -> &'static str {
    MANIFEST
}
