//! Public keys and their ids.

use p256::ecdsa::VerifyingKey;
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

/// The text is not a public key that is accepted here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 public key in PEM (SubjectPublicKeyInfo): {0}")]
pub struct InvalidKey(pub String);

/// The id of a key: the first 16 hex digits of SHA-256 over its SubjectPublicKeyInfo in DER
/// (DECISIONS 14). An id finds a key; it never proves anything.
pub fn key_id_of_spki(spki_der: &[u8]) -> String {
    let mut text = hex::encode(Sha256::digest(spki_der));
    text.truncate(16);
    text
}

/// SubjectPublicKeyInfo in DER.
pub fn spki_der(key: &VerifyingKey) -> Result<Vec<u8>, InvalidKey> {
    let document = key
        .to_public_key_der()
        .map_err(|e| InvalidKey(e.to_string()))?;
    Ok(document.as_bytes().to_vec())
}

/// The id of a P-256 key.
pub fn key_id(key: &VerifyingKey) -> Result<String, InvalidKey> {
    Ok(key_id_of_spki(&spki_der(key)?))
}

/// Reads a P-256 public key from PEM.
pub fn from_pem(pem: &str) -> Result<VerifyingKey, InvalidKey> {
    VerifyingKey::from_public_key_pem(pem).map_err(|e| InvalidKey(e.to_string()))
}

/// Reads a P-256 public key from SubjectPublicKeyInfo in DER.
pub fn from_spki_der(der: &[u8]) -> Result<VerifyingKey, InvalidKey> {
    VerifyingKey::from_public_key_der(der).map_err(|e| InvalidKey(e.to_string()))
}

/// Writes a P-256 public key as PEM.
pub fn to_pem(key: &VerifyingKey) -> Result<String, InvalidKey> {
    key.to_public_key_pem(LineEnding::LF)
        .map_err(|e| InvalidKey(e.to_string()))
}
