//! Image signatures in cosign's classic layout (sigstore/cosign specs/SIGNATURE_SPEC.md): the payload
//! ("simple signing") and the manifest under the tag `sha256-<hex>.sig`.

use crate::names;
use crate::oci::{Descriptor, IMAGE_CONFIG, IMAGE_MANIFEST};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::digest::Digest;
use contract::image::Repository;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The annotation that holds a layer's signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// A payload is a few hundred bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

const TYPE: &str = "cosign container image signature";

/// What a signature says: this image, under this reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The reference.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
}

/// The bytes are not what cosign signs, or the signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// Not a payload.
    #[error("not a cosign payload: {0}")]
    Form(String),
    /// The signature does not hold.
    #[error("the signature does not hold under this key")]
    NotSigned,
}

#[derive(Serialize, Deserialize)]
struct Document {
    critical: Critical,
    optional: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: String,
}

impl Payload {
    /// The bytes that are signed, exactly as cosign writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        // All of these characters stand in JSON as they are: repositories and digests hold no others.
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{}"}},"image":{{"docker-manifest-digest":"{}"}},"type":"{TYPE}"}},"optional":null}}"#,
            self.repository, self.digest
        )
        .into_bytes()
    }

    /// Reads a payload, ours or cosign's own.
    pub fn read(bytes: &[u8]) -> Result<Self, CosignError> {
        let form = |problem: String| CosignError::Form(problem);
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(form(format!("{} bytes", bytes.len())));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|e| form(e.to_string()))?;
        if document.critical.kind != TYPE {
            return Err(form("another type".to_owned()));
        }
        let reference = &document.critical.identity.docker_reference;
        let digest = &document.critical.image.docker_manifest_digest;
        Ok(Self {
            repository: Repository::parse(reference)
                .map_err(|e| form(format!("docker-reference: {e}")))?,
            digest: Digest::parse(digest)
                .map_err(|e| form(format!("docker-manifest-digest: {e}")))?,
        })
    }
}

/// Verifies a signature (DER) over payload bytes and hands on what they say.
pub fn verify(
    payload: &[u8],
    signature_der: &[u8],
    key: &VerifyingKey,
) -> Result<Payload, CosignError> {
    let signature = DerSignature::try_from(signature_der).map_err(|_| CosignError::NotSigned)?;
    key.verify(payload, &signature)
        .map_err(|_| CosignError::NotSigned)?;
    Payload::read(payload)
}

/// The tag under which an image's signatures lie.
pub fn signature_tag(image: &Digest) -> String {
    format!("sha256-{}.sig", image.hex())
}

/// The blobs and the manifest of one signature: the payload is its one layer. The same payload and
/// signature give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureObject {
    /// The config blob.
    pub config: Vec<u8>,
    /// The manifest, of type [`IMAGE_MANIFEST`].
    pub manifest: Vec<u8>,
}

/// Makes them.
pub fn signature_object(payload: &[u8], signature_der: &[u8]) -> SignatureObject {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        schema_version: u32,
        media_type: &'a str,
        config: Descriptor,
        layers: [Descriptor; 1],
    }
    let layer = Digest::of(payload);
    let config = format!(
        r#"{{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{{"created":"0001-01-01T00:00:00Z"}}],"os":"","rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"config":{{}}}}"#
    )
    .into_bytes();
    let mut signed = Descriptor::of(names::SIMPLE_SIGNING, payload);
    signed.annotations.insert(
        SIGNATURE_ANNOTATION.to_owned(),
        STANDARD.encode(signature_der),
    );
    let manifest = Manifest {
        schema_version: 2,
        media_type: IMAGE_MANIFEST,
        config: Descriptor::of(IMAGE_CONFIG, &config),
        layers: [signed],
    };
    // Plain structs of text and numbers: serde_json cannot fail on them.
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    SignatureObject { config, manifest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use std::process::Command;

    fn payload() -> Payload {
        Payload {
            repository: Repository::parse("127.0.0.1:5000/prod/shop/web").unwrap(),
            digest: Digest::of(b"image"),
        }
    }

    #[test]
    fn a_payload_and_its_manifest_read_as_ever() {
        let bytes = payload().to_bytes();
        assert_eq!(Payload::read(&bytes).unwrap(), payload());
        let golden = include_str!("../tests/golden/cosign-payload.json").trim_end();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), golden);
        let object = signature_object(&bytes, b"signature");
        let golden = include_str!("../tests/golden/cosign-manifest.json").trim_end();
        assert_eq!(String::from_utf8(object.manifest).unwrap(), golden);
        serde_json::from_slice::<serde_json::Value>(&object.config).unwrap();
    }

    #[test]
    fn what_cosign_itself_writes_is_read() {
        let theirs = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"r.example/a"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":{{"creator":"x"}}}}"#,
            Digest::of(b"i")
        );
        assert_eq!(
            Payload::read(theirs.as_bytes()).unwrap().digest,
            Digest::of(b"i")
        );
    }

    /// The signature is verified by openssl, which shares no code with this crate.
    #[test]
    fn openssl_accepts_the_signature_and_refuses_a_flipped_byte() {
        let folder = std::env::temp_dir().join(format!("evidence-cosign-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let key = SigningKey::from_slice(&[3; 32]).unwrap();
        let bytes = payload().to_bytes();
        let signature: DerSignature = key.sign(&bytes);
        let pem = crate::keys::to_pem(key.verifying_key()).unwrap();
        let (key_file, sig_file) = (
            file("key.pub", pem.as_bytes()),
            file("sig", signature.as_bytes()),
        );
        let accepts = |payload: &std::path::Path| {
            Command::new("openssl")
                .args(["dgst", "-sha256", "-verify"])
                .arg(&key_file)
                .arg("-signature")
                .arg(&sig_file)
                .arg(payload)
                .output()
                .unwrap()
                .status
                .success()
        };
        assert!(accepts(&file("payload", &bytes)));
        let mut flipped = bytes.clone();
        flipped[20] ^= 1;
        assert!(!accepts(&file("flipped", &flipped)));
        assert!(verify(&bytes, signature.as_bytes(), key.verifying_key()).is_ok());
        assert!(verify(&flipped, signature.as_bytes(), key.verifying_key()).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
