//! Attaching attestations and signatures to an image in a repository, and reading both back.

use super::client::{Manifest, Registry, Tag};
use super::error::RegistryError;
use contract::digest::Digest;
use contract::image::Repository;
use evidence::cosign;
use evidence::oci::{self, IMAGE_INDEX, IMAGE_MANIFEST};

impl Registry {
    /// Attaches a DSSE envelope to an image that lies in `repository`: blobs, manifest, and the
    /// referrers' index under its fallback tag (the registry need not know referrers). Repeating it
    /// changes nothing. The attestation's manifest digest.
    pub async fn attach_attestation(
        &self,
        repository: &Repository,
        image: &Manifest,
        envelope: &[u8],
        predicate_type: &str,
    ) -> Result<Digest, RegistryError> {
        let referrer = oci::attestation(&image.media_type, &image.bytes, envelope, predicate_type);
        self.put_blob(repository, oci::EMPTY_CONFIG.to_vec())
            .await?;
        self.put_blob(repository, envelope.to_vec()).await?;
        let digest = self
            .put_manifest(repository, None, IMAGE_MANIFEST, &referrer.manifest)
            .await?;
        for blob in [oci::EMPTY_CONFIG, envelope] {
            self.read_blob_back(repository, &Digest::of(blob), blob.len() as u64)
                .await?;
        }
        self.read_manifest_back(repository, &digest).await?;
        self.add_referrer(repository, &image.digest, &referrer.descriptor)
            .await?;
        Ok(digest)
    }

    /// Publishes a cosign signature in the classic layout: the one manifest under
    /// `sha256-<hex>.sig`. Repeating it changes nothing. The signature's manifest digest.
    pub async fn publish_signature(
        &self,
        repository: &Repository,
        image: &Digest,
        payload: &[u8],
        signature_der: &[u8],
    ) -> Result<Digest, RegistryError> {
        let object = cosign::signature_object(payload, signature_der);
        for blob in [&object.config, payload] {
            self.put_blob(repository, blob.to_vec()).await?;
            self.read_blob_back(repository, &Digest::of(blob), blob.len() as u64)
                .await?;
        }
        let tag = fixed_tag(&cosign::signature_tag(image))?;
        let manifest = Manifest {
            digest: Digest::of(&object.manifest),
            bytes: object.manifest,
            media_type: IMAGE_MANIFEST.to_owned(),
        };
        self.tag(repository, &tag, &manifest).await?;
        Ok(manifest.digest)
    }

    /// Reading, adding and writing the index is not atomic in a registry: one at a time, in this
    /// process. What another wrote over it in between shows when it is read back.
    async fn add_referrer(
        &self,
        repository: &Repository,
        image: &Digest,
        referrer: &oci::Descriptor,
    ) -> Result<(), RegistryError> {
        let tag = fixed_tag(&oci::referrers_tag(image))?;
        let _one_at_a_time = self.referrers.lock().await;
        let found = self.manifest_of_tag(repository, &tag).await?;
        let what = || format!("{repository}:{}", tag.as_str());
        let with = |index: Option<&Manifest>| {
            let added = oci::with_referrer(index.map(|index| index.bytes.as_slice()), referrer);
            added.map_err(|error| RegistryError::NotAManifest {
                what: what(),
                problem: error.to_string(),
            })
        };
        let Some(bytes) = with(found.as_ref())? else {
            return Ok(());
        };
        self.put_manifest(repository, Some(&tag), IMAGE_INDEX, &bytes)
            .await?;
        let read = self.manifest_of_tag(repository, &tag).await?;
        match with(read.as_ref())? {
            None => Ok(()),
            Some(_) => Err(RegistryError::NotReadBack {
                what: format!("the referrer {} in {}", referrer.digest, what()),
            }),
        }
    }
}

fn fixed_tag(text: &str) -> Result<Tag, RegistryError> {
    Tag::parse(text).ok_or_else(|| RegistryError::Setup(format!("`{text}` is not a tag")))
}
