//! What a manifest consists of, and copying one between repositories of the registry.

use super::client::{Manifest, Registry, Tag};
use super::error::RegistryError;
use contract::digest::Digest;
use contract::image::Repository;
use serde::Deserialize;

/// Children of one manifest: layers of an image or platforms of an index. Docker stops at 127 layers.
const CHILDREN_MAX: usize = 256;
/// A blob that the registry would not mount is carried through memory; a layer larger than this is
/// not.
const CARRIED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A blob of at most this size is read back whole and hashed here. Of a larger one the registry is asked
/// whether it has it, and how long it is: reading gigabytes again for each environment would take longer
/// than all the rest, and whoever pulls the image hashes them.
const READ_BACK_BYTES_MAX: usize = 1024 * 1024;

/// What a manifest points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// Config and layers.
    pub blobs: Vec<(Digest, u64)>,
    /// Manifests of an index, with their platform (`linux/amd64`).
    pub manifests: Vec<(Digest, String)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// Reads what a manifest points to.
pub fn children(manifest: &Manifest) -> Result<Children, RegistryError> {
    let wrong = |problem: String| RegistryError::NotAManifest {
        what: manifest.digest.to_string(),
        problem,
    };
    let document: Document =
        serde_json::from_slice(&manifest.bytes).map_err(|e| wrong(e.to_string()))?;
    if document.schema_version != 2 {
        return Err(wrong("schemaVersion is not 2".to_owned()));
    }
    if document.layers.len() + document.manifests.len() > CHILDREN_MAX {
        return Err(wrong(format!(
            "more than {CHILDREN_MAX} layers or platforms"
        )));
    }
    if document.config.is_none() && document.manifests.is_empty() {
        return Err(wrong("neither an image nor an index".to_owned()));
    }
    let platform = |d: &Descriptor| {
        d.platform
            .as_ref()
            .map_or_else(String::new, |p| format!("{}/{}", p.os, p.architecture))
    };
    Ok(Children {
        blobs: document
            .config
            .iter()
            .chain(&document.layers)
            .map(|d| (d.digest, d.size))
            .collect(),
        manifests: document
            .manifests
            .iter()
            .map(|d| (d.digest, platform(d)))
            .collect(),
    })
}

impl Registry {
    /// Copies exactly this manifest with all it consists of, and reads the copy back by its digest.
    pub async fn copy(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<Manifest, RegistryError> {
        let missing = |what: String| RegistryError::Status {
            operation: "copy",
            what,
            status: 404,
        };
        let manifest = self.manifest(from, digest).await?;
        let manifest = manifest.ok_or_else(|| missing(format!("{from} {digest}")))?;
        let children = children(&manifest)?;
        for (child, _) in &children.manifests {
            Box::pin(self.copy(from, to, child)).await?;
        }
        for (blob, _) in &children.blobs {
            if !self.mount_blob(from, to, blob).await? {
                let bytes = self.blob(from, blob, CARRIED_BYTES_MAX).await?;
                let bytes = bytes.ok_or_else(|| missing(format!("{from} {blob}")))?;
                self.put_blob(to, bytes).await?;
            }
        }
        self.put_manifest(to, None, &manifest.media_type, &manifest.bytes)
            .await?;
        for (blob, length) in &children.blobs {
            self.read_blob_back(to, blob, *length).await?;
        }
        self.read_manifest_back(to, digest).await
    }

    /// The manifest that was just stored, by its digest.
    pub(super) async fn read_manifest_back(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Manifest, RegistryError> {
        let read = self.manifest(repository, digest).await?;
        read.ok_or_else(|| RegistryError::NotReadBack {
            what: format!("manifest {digest} in {repository}"),
        })
    }

    /// A blob that was just stored or mounted.
    pub(super) async fn read_blob_back(
        &self,
        repository: &Repository,
        digest: &Digest,
        length: u64,
    ) -> Result<(), RegistryError> {
        let not_there = || RegistryError::NotReadBack {
            what: format!("blob {digest} of {length} bytes in {repository}"),
        };
        if length <= READ_BACK_BYTES_MAX as u64 {
            let read = self.blob(repository, digest, READ_BACK_BYTES_MAX).await?;
            return read.map(drop).ok_or_else(not_there);
        }
        match self.blob_length(repository, digest).await? {
            Some(held) if held == length => Ok(()),
            Some(_) | None => Err(not_there()),
        }
    }

    /// Points a tag to a manifest that is there, and reads it back. One that points there already is left
    /// alone: registries that let no tag be put twice let this be repeated.
    pub async fn tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let there = self.manifest_of_tag(repository, tag).await?;
        if there.is_some_and(|there| there.digest == manifest.digest) {
            return Ok(());
        }
        self.put_manifest(repository, Some(tag), &manifest.media_type, &manifest.bytes)
            .await?;
        let read = self.manifest_of_tag(repository, tag).await?;
        match read {
            Some(read) if read.digest == manifest.digest => Ok(()),
            Some(read) => Err(RegistryError::Mismatch {
                what: format!("tag {} in {repository}", tag.as_str()),
                wanted: manifest.digest,
                got: read.digest,
            }),
            None => Err(RegistryError::NotReadBack {
                what: format!("tag {} in {repository}", tag.as_str()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        let bytes = text.as_bytes().to_vec();
        Manifest {
            digest: Digest::of(&bytes),
            bytes,
            media_type: String::new(),
        }
    }

    #[test]
    fn a_manifest_names_what_it_consists_of() {
        let digest = Digest::of(b"x");
        let image = manifest(&format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","size":1}},"layers":[{{"digest":"{digest}","size":2}}]}}"#
        ));
        assert_eq!(children(&image).unwrap().blobs, [(digest, 1), (digest, 2)]);
        for bad in ["", "{}", r#"{"schemaVersion":1}"#, r#"{"schemaVersion":2}"#] {
            assert!(children(&manifest(bad)).is_err(), "{bad}");
        }
    }
}
