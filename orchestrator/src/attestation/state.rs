//! Attestations, signatures, and how far each has come.

use crate::image::ImageId;
use crate::registry::RegistryError;
use crate::signing::SigningError;
use contract::digest::Digest;
use contract::image::Repository;

crate::id_type!(
    /// An attestation; also the signer's request id for it.
    AttestationId
);

crate::id_type!(
    /// A signature; also the signer's request id for it.
    SignatureId
);

/// What an attestation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// How the image came about (SLSA provenance v1).
    Provenance,
    /// What is in it (CycloneDX).
    Sbom,
}

impl Kind {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
        }
    }

    /// The predicate type.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::Provenance => evidence::names::SLSA_PROVENANCE,
            Self::Sbom => evidence::names::CYCLONEDX,
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Provenance, Self::Sbom]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// What the signer gave: `bytes` are the DSSE envelope of an attestation, the DER of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The key that signed.
    pub key_id: String,
    /// When (µs since 1970 UTC).
    pub at: i64,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The text is fixed, nobody has signed it.
    Intended,
    /// Signed, not in the registry yet.
    Signed(Signed),
    /// In the registry, and read back.
    Published {
        /// What was signed.
        signed: Signed,
        /// The manifest that holds it.
        manifest: Digest,
        /// When (µs since 1970 UTC).
        at: i64,
    },
}

/// What happens to an attestation or a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The signer signed it.
    Signed(Signed),
    /// It is in the registry.
    Published {
        /// The manifest that holds it.
        manifest: Digest,
        /// When (µs since 1970 UTC).
        at: i64,
    },
}

/// The event does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cannot happen to it in its state")]
pub struct InvalidTransition;

impl State {
    /// What comes of an event.
    pub(super) fn after(self, event: Event) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Intended, Event::Signed(signed)) => Ok(Self::Signed(signed)),
            (Self::Signed(signed), Event::Published { manifest, at }) => Ok(Self::Published {
                signed,
                manifest,
                at,
            }),
            // What was put back into the registry is what it was.
            (
                Self::Published {
                    signed,
                    manifest: before,
                    at,
                },
                Event::Published { manifest, .. },
            ) if before == manifest => Ok(Self::Published {
                signed,
                manifest,
                at,
            }),
            (Self::Intended | Self::Published { .. }, Event::Published { .. })
            | (Self::Signed(_) | Self::Published { .. }, Event::Signed(_)) => {
                Err(InvalidTransition)
            }
        }
    }

    /// The stored word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Signed(_) => "signed",
            Self::Published { .. } => "published",
        }
    }

    /// What was signed, once it is.
    pub fn signed(&self) -> Option<&Signed> {
        match self {
            Self::Intended => None,
            Self::Signed(signed) | Self::Published { signed, .. } => Some(signed),
        }
    }
}

/// A statement about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Its id.
    pub id: AttestationId,
    /// The project's id.
    pub project_id: String,
    /// The image.
    pub image_id: ImageId,
    /// What it says.
    pub kind: Kind,
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// How far it has come.
    pub state: State,
}

/// A cosign signature of an image under one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Its id.
    pub id: SignatureId,
    /// The image.
    pub image_id: ImageId,
    /// The reference.
    pub repository: Repository,
    /// The promotion that wanted it; none in quarantine.
    pub promotion_id: Option<String>,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// How far it has come.
    pub state: State,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// The database.
    #[error("read or write attestations")]
    Db(#[from] crate::db::Error),
    /// What is known of the run does not make a statement.
    #[error("state what is known of image {image}: {problem}")]
    Facts {
        /// The image's id.
        image: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// A stored SBOM cannot be read.
    #[error("read the SBOM of image {image}")]
    Sbom {
        /// The image's id.
        image: String,
        /// Why.
        #[source]
        source: crate::blob::BlobError,
    },
    /// The signer.
    #[error("sign {what}")]
    Sign {
        /// Which row.
        what: String,
        /// Why.
        #[source]
        source: SigningError,
    },
    /// A signature that does not hold under a key that this instance knows.
    #[error("the signature of {what} does not hold under a known {role} key: {problem}")]
    Unverified {
        /// Which row.
        what: String,
        /// The key's role.
        role: &'static str,
        /// Why.
        problem: String,
    },
    /// It is not in a state for this.
    #[error("{what}")]
    Transition {
        /// Which row.
        what: String,
        /// Why.
        #[source]
        source: InvalidTransition,
    },
    /// The registry.
    #[error("publish {what}")]
    Publish {
        /// Which row.
        what: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_state() {
        let signed = |byte| Signed {
            bytes: vec![byte],
            key_id: "k".to_owned(),
            at: 1,
        };
        let published = |of: &[u8], at| State::Published {
            signed: signed(1),
            manifest: Digest::of(of),
            at,
        };
        let put = |of: &[u8]| Event::Published {
            manifest: Digest::of(of),
            at: 2,
        };
        let table = [
            (
                State::Intended,
                Event::Signed(signed(1)),
                Ok(State::Signed(signed(1))),
            ),
            (State::Intended, put(b"m"), Err(InvalidTransition)),
            (
                State::Signed(signed(1)),
                Event::Signed(signed(2)),
                Err(InvalidTransition),
            ),
            (State::Signed(signed(1)), put(b"m"), Ok(published(b"m", 2))),
            (
                published(b"m", 1),
                Event::Signed(signed(2)),
                Err(InvalidTransition),
            ),
            (published(b"m", 1), put(b"m"), Ok(published(b"m", 1))),
            (published(b"m", 1), put(b"other"), Err(InvalidTransition)),
        ];
        for (state, event, wanted) in table {
            assert_eq!(
                state.clone().after(event.clone()),
                wanted,
                "{state:?} {event:?}"
            );
        }
    }
}
