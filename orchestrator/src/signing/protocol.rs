//! What server and signer say to each other: one request and one answer a connection, each a length
//! (four bytes, big-endian) and JSON. Version 1.

use super::keystore::PublicKey;
use contract::name::Name;
use evidence::decision::{Decision, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The version spoken here.
pub(super) const VERSION: u32 = 1;
/// An SBOM statement of a large image takes a few megabytes, in base64 a third more.
pub(super) const FRAME_BYTES_MAX: usize = 48 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) ask: Ask,
}

/// What is asked for. Bytes are base64.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Ask {
    /// The public keys.
    Keys,
    /// A signature over an in-toto statement (over its DSSE PAE), by the provenance key.
    Statement {
        request_id: String,
        #[serde(with = "base64_bytes")]
        statement: Vec<u8>,
        #[serde(with = "base64_bytes")]
        manifest: Vec<u8>,
    },
    /// A signature over a cosign payload, by the release key.
    Image {
        request_id: String,
        #[serde(with = "base64_bytes")]
        payload: Vec<u8>,
        #[serde(with = "base64_bytes")]
        manifest: Vec<u8>,
        grounds: Box<Grounds>,
    },
    /// A question that this version does not know.
    #[serde(other)]
    Unsupported,
}

/// What permits a release signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Grounds {
    /// In quarantine: the run succeeded.
    Run(PassedRun),
    /// In an environment: its gate lets this image into this repository.
    Promotion {
        /// The decision.
        decision: Decision,
        /// The approvals' statements, each the stored text.
        approvals: Vec<String>,
    },
}

/// A run that ended well, with what it built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedRun {
    /// The project's name.
    pub project: String,
    /// The run's id.
    pub run: String,
    /// How it ended: `passed`.
    pub cause: String,
    /// Each image and where it lies in quarantine.
    pub images: BTreeMap<Name, Target>,
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Answer {
    Keys { keys: Vec<PublicKey> },
    Signed(Signed),
    Refused(Refusal),
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The key that signed.
    pub key_id: String,
    /// ECDSA P-256 over SHA-256, ASN.1 DER.
    #[serde(with = "base64_bytes")]
    pub signature: Vec<u8>,
}

/// The signer says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A stable word.
    pub code: RefusalCode,
    /// In words.
    pub message: String,
}

/// The stable words of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// Not a request that is understood.
    BadRequest,
    /// A type outside the key's role.
    OtherType,
    /// Not about the image whose manifest came along.
    OtherSubject,
    /// Another reference than the one that was permitted.
    OtherReference,
    /// No passed run, no open gate, or not for this image.
    NotPassed,
    /// The gate wants approvals that did not come along or do not fit.
    NotApproved,
    /// No provenance of this image was signed here before.
    NoProvenance,
    /// The request id was used for something else.
    IdReused,
    /// Too many signatures in a minute: later.
    TooFast,
    /// The journal could not be written: nothing was signed.
    Journal,
    /// A word that this version does not know.
    #[serde(other)]
    Unsupported,
}

/// A message did not come through.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    #[error("a message of {0} bytes, at most {FRAME_BYTES_MAX} are read")]
    TooLarge(usize),
    #[error("not a message that is understood: {0}")]
    Form(#[from] serde_json::Error),
}

/// Reads one message.
pub(super) async fn read<T: serde::de::DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<T, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(length));
    }
    // Grows with what arrives, not with what was announced.
    let mut bytes = Vec::new();
    let bound = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(bound).read_to_end(&mut bytes).await?;
    if bytes.len() != length {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// Writes one message.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), FrameError> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).ok();
    let length = length.filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or(FrameError::TooLarge(bytes.len()))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Bytes as base64 text.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_announces_too_much_or_breaks_off_is_refused() {
        let mut huge: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'{'];
        assert!(matches!(
            read::<Request>(&mut huge).await,
            Err(FrameError::TooLarge(_))
        ));
        let mut cut: &[u8] = &[0, 0, 0, 9, b'{'];
        assert!(matches!(
            read::<Request>(&mut cut).await,
            Err(FrameError::Io(_))
        ));
    }

    #[tokio::test]
    async fn a_question_of_a_newer_server_is_known_to_be_unknown() {
        let text = br#"{"version":1,"ask":{"kind":"moon","phase":1}}"#;
        let mut frame = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(text);
        let request: Request = read(&mut frame.as_slice()).await.unwrap();
        assert!(matches!(request.ask, Ask::Unsupported));
    }

    #[test]
    fn a_request_for_an_image_reads_as_ever() {
        let request = Request {
            version: VERSION,
            ask: Ask::Image {
                request_id: "r1".to_owned(),
                payload: b"p".to_vec(),
                manifest: b"m".to_vec(),
                grounds: Box::new(Grounds::Run(PassedRun {
                    project: "shop".to_owned(),
                    run: "1".to_owned(),
                    cause: "passed".to_owned(),
                    images: BTreeMap::new(),
                })),
            },
        };
        insta::assert_snapshot!(
            serde_json::to_string(&request).unwrap(),
            @r#"{"version":1,"ask":{"kind":"image","request_id":"r1","payload":"cA==","manifest":"bQ==","grounds":{"kind":"run","project":"shop","run":"1","cause":"passed","images":{}}}}"#
        );
    }
}
