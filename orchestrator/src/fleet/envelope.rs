//! Signed envelopes between orchestrator and workers: jobs under our key, reports under theirs.

use super::state::Error;
use evidence::dsse;
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

/// The key that signs jobs (P-256): a worker takes a job only under it. No `Debug`, no `Serialize`.
pub struct EnvelopeKey {
    key: SigningKey,
    public: String,
}

impl EnvelopeKey {
    /// Takes the key from the keystore.
    pub fn new(key: SigningKey) -> Result<Self, Error> {
        let public = key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| Error::Key("the envelope key"))?;
        Ok(Self { key, public })
    }

    /// The public half, SPKI PEM.
    pub fn public_pem(&self) -> &str {
        &self.public
    }

    /// The DSSE envelope over this payload.
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let envelope = dsse::sign(payload_type, payload, &self.key).map_err(Error::Sign)?;
        // Plain text: serde_json cannot fail on it.
        Ok(serde_json::to_vec(&envelope).unwrap_or_default())
    }
}

/// The payload of an envelope of this type that this worker's key (SPKI DER) signed; else nothing.
pub fn verify_envelope(public: &[u8], payload_type: &str, envelope: &[u8]) -> Option<Vec<u8>> {
    let key = VerifyingKey::from_public_key_der(public).ok()?;
    let verified = dsse::verify(envelope, payload_type, &[key]).ok()?;
    Some(verified.payload)
}
