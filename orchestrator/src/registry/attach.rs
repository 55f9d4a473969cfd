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
        self.add_referrer(repository, &image.digest, &referrer.descriptor)
            .await?;
        self.must_hold(repository, &digest).await?;
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
        self.put_blob(repository, object.config).await?;
        self.put_blob(repository, payload.to_vec()).await?;
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
    /// process.
    async fn add_referrer(
        &self,
        repository: &Repository,
        image: &Digest,
        referrer: &oci::Descriptor,
    ) -> Result<(), RegistryError> {
        let tag = fixed_tag(&oci::referrers_tag(image))?;
        let _one_at_a_time = self.referrers.lock().await;
        let found = self.manifest_of_tag(repository, &tag).await?;
        let added =
            oci::with_referrer(found.as_ref().map(|index| index.bytes.as_slice()), referrer);
        let added = added.map_err(|error| RegistryError::NotAManifest {
            what: format!("{repository}:{}", tag.as_str()),
            problem: error.to_string(),
        })?;
        if let Some(bytes) = added {
            self.put_manifest(repository, Some(&tag), IMAGE_INDEX, &bytes)
                .await?;
        }
        Ok(())
    }

    async fn must_hold(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        match self.manifest(repository, digest).await? {
            Some(_) => Ok(()),
            None => Err(RegistryError::Status {
                operation: "read back",
                what: format!("{repository} {digest}"),
                status: 404,
            }),
        }
    }
}

fn fixed_tag(text: &str) -> Result<Tag, RegistryError> {
    Tag::parse(text).ok_or_else(|| RegistryError::Setup(format!("`{text}` is not a tag")))
}
