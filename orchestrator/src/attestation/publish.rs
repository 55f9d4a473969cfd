//! Puts attestations and signatures beside their images in the registry, and reads them back.
//! Everything here gives the same bytes when it is repeated.

use super::state::{Attestation, AttestationError, Signature, Signed};
use crate::image::Image;
use crate::registry::{Manifest, Registry};
use contract::digest::Digest;

/// Attaches an attestation to its image in quarantine; gives the manifest's digest.
pub(super) async fn attestation(
    registry: &Registry,
    attestation: &Attestation,
    signed: &Signed,
    image: &Image,
) -> Result<Digest, AttestationError> {
    let manifest = Manifest {
        bytes: image.manifest.clone(),
        digest: image.digest,
        media_type: image.media_type.clone(),
    };
    let kind = attestation.kind.predicate_type();
    registry
        .attach_attestation(&image.repository, &manifest, &signed.bytes, kind)
        .await
        .map_err(|source| AttestationError::Publish {
            what: format!("attestation {}", attestation.id),
            source,
        })
}

/// Puts a signature under its own reference; gives the manifest's digest.
pub(super) async fn signature(
    registry: &Registry,
    signature: &Signature,
    signed: &Signed,
    image: &Image,
) -> Result<Digest, AttestationError> {
    let (repository, payload) = (&signature.repository, &signature.payload);
    registry
        .publish_signature(repository, &image.digest, payload, &signed.bytes)
        .await
        .map_err(|source| AttestationError::Publish {
            what: format!("signature {}", signature.id),
            source,
        })
}
