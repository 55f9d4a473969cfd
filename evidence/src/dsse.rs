//! DSSE, the Dead Simple Signing Envelope (secure-systems-lab/dsse, protocol.md and envelope.md v1.0).
//!
//! Signatures are ECDSA P-256 over SHA-256 in ASN.1 DER, as cosign and securesystemslib verify them.

use crate::keys;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The largest envelope that is read: an SBOM of a large image takes a few megabytes.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Signatures that are looked at; nobody signs more often.
const SIGNATURES_MAX: usize = 16;

/// An envelope: a payload and signatures over it and its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The payload, base64.
    pub payload: String,
    /// What the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Says which key to try; unauthenticated, never used to decide anything.
    #[serde(default)]
    pub keyid: String,
    /// The signature, base64.
    pub sig: String,
}

/// A payload whose signature holds: exactly the bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The payload.
    pub payload: Vec<u8>,
    /// Ids of the keys whose signatures hold, each once.
    pub keys: BTreeSet<String>,
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// Larger than is read.
    #[error("the envelope is larger than {ENVELOPE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not an envelope.
    #[error("not a DSSE envelope: {0}")]
    Form(String),
    /// Another kind of payload than was asked for.
    #[error("the payload type is `{got}`, wanted `{wanted}`")]
    PayloadType {
        /// What it is.
        got: String,
        /// What was asked for.
        wanted: String,
    },
    /// No signature by any of the given keys holds.
    #[error("no signature by a given key holds")]
    NotSigned,
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] keys::InvalidKey),
}

/// PAE, the bytes that are signed: `DSSEv1 <len> <type> <len> <body>`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a payload.
pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Result<Envelope, DsseError> {
    let signature: DerSignature = key.sign(&pae(payload_type, payload));
    let engine = general_purpose::STANDARD;
    Ok(Envelope {
        payload: engine.encode(payload),
        payload_type: payload_type.to_owned(),
        signatures: vec![Signature {
            keyid: keys::key_id(key.verifying_key())?,
            sig: engine.encode(signature.as_bytes()),
        }],
    })
}

/// Verifies an envelope against the keys that are trusted for it and hands on the signed bytes.
pub fn verify(
    envelope: &[u8],
    payload_type: &str,
    trusted: &[VerifyingKey],
) -> Result<Verified, DsseError> {
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(DsseError::TooLarge);
    }
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|e| DsseError::Form(e.to_string()))?;
    if envelope.payload_type != payload_type {
        let got = envelope.payload_type.chars().take(100).collect();
        return Err(DsseError::PayloadType {
            got,
            wanted: payload_type.to_owned(),
        });
    }
    let payload = decode(&envelope.payload)?;
    let signed = pae(payload_type, &payload);
    let mut keys = BTreeSet::new();
    for signature in envelope.signatures.iter().take(SIGNATURES_MAX) {
        let Ok(der) = DerSignature::try_from(decode(&signature.sig)?.as_slice()) else {
            continue;
        };
        for key in trusted {
            if key.verify(&signed, &der).is_ok() {
                keys.insert(keys::key_id(key)?);
            }
        }
    }
    if keys.is_empty() {
        return Err(DsseError::NotSigned);
    }
    Ok(Verified { payload, keys })
}

/// Verifiers accept standard and URL-safe base64, with or without padding.
fn decode(text: &str) -> Result<Vec<u8>, DsseError> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .map_err(|e| DsseError::Form(format!("base64: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_slice(&[9; 32]).unwrap()
    }

    fn json(envelope: &Envelope) -> Vec<u8> {
        serde_json::to_vec(envelope).unwrap()
    }

    /// The vector of the DSSE specification (its signature is raw r‖s, RFC 6979).
    #[test]
    fn the_specifications_vector_comes_out() {
        let bytes = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            bytes,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        let d = decimal(
            "97358161215184420915383655311931858321456579547487070936769975997791359926199",
        );
        let key = SigningKey::from_slice(&d).unwrap();
        let raw: p256::ecdsa::Signature = key.sign(&bytes);
        assert_eq!(
            general_purpose::STANDARD.encode(raw.to_bytes()),
            "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
        );
    }

    /// A decimal number as 32 big-endian bytes.
    fn decimal(text: &str) -> [u8; 32] {
        let mut bytes = [0_u8; 32];
        for digit in text.bytes() {
            let mut carry = u32::from(digit - b'0');
            for byte in bytes.iter_mut().rev() {
                let value = u32::from(*byte) * 10 + carry;
                *byte = u8::try_from(value & 255).unwrap();
                carry = value >> 8;
            }
        }
        bytes
    }

    #[test]
    fn what_was_signed_is_handed_on_and_nothing_else() {
        let envelope = sign("text/x", b"payload", &key()).unwrap();
        let verified = verify(&json(&envelope), "text/x", &[*key().verifying_key()]).unwrap();
        assert_eq!(verified.payload, b"payload");
        assert_eq!(verified.keys.len(), 1);
    }

    #[test]
    fn url_safe_base64_is_read_too() {
        let mut envelope = sign("t", &[0xfb, 0xff, 0xfe], &key()).unwrap();
        envelope.payload = general_purpose::URL_SAFE_NO_PAD.encode([0xfb, 0xff, 0xfe]);
        assert!(verify(&json(&envelope), "t", &[*key().verifying_key()]).is_ok());
    }

    #[test]
    fn another_key_type_or_byte_is_refused() {
        let good = sign("text/x", b"payload", &key()).unwrap();
        let trusted = [*key().verifying_key()];
        let stranger = SigningKey::from_slice(&[8; 32]).unwrap();
        assert_eq!(
            verify(&json(&good), "text/x", &[*stranger.verifying_key()]),
            Err(DsseError::NotSigned)
        );
        assert!(matches!(
            verify(&json(&good), "text/y", &trusted),
            Err(DsseError::PayloadType { .. })
        ));
        let mut flipped = good.clone();
        flipped.payload = general_purpose::STANDARD.encode(b"paylord");
        assert_eq!(
            verify(&json(&flipped), "text/x", &trusted),
            Err(DsseError::NotSigned)
        );
        let mut renamed = good;
        renamed.signatures[0].keyid = "somebody else".to_owned();
        assert!(
            verify(&json(&renamed), "text/x", &trusted).is_ok(),
            "a key id decides nothing"
        );
    }

    #[test]
    fn the_same_signature_twice_is_one_key() {
        let mut envelope = sign("t", b"p", &key()).unwrap();
        envelope.signatures.push(envelope.signatures[0].clone());
        let verified = verify(&json(&envelope), "t", &[*key().verifying_key()]).unwrap();
        assert_eq!(verified.keys.len(), 1);
    }
}
