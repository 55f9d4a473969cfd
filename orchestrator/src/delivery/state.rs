//! What a hook, a delivery and a refusal are.

use crate::id::IdSource;
use std::fmt;

crate::id_type!(
    /// An accepted delivery.
    DeliveryId
);
crate::id_type!(
    /// A refused request, or many of one kind.
    RefusalId
);

/// 128 random bits: not a secret, and not to be guessed either.
const HOOK_ID_BYTES: usize = 16;

/// A hook's id, as in its address `/hooks/<id>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(String);

impl HookId {
    /// A new one.
    pub fn new(ids: &dyn IdSource) -> Self {
        Self(crate::id::random_hex(ids, HOOK_ID_BYTES))
    }

    /// Parses 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (digits && text.len() == 2 * HOOK_ID_BYTES).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who sends, and so which signature is asked for. Fixed by the hook, never by a request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// `X-Hub-Signature-256`; the delivery's id is outside the MAC.
    Github,
    /// A plain repository with our own hook: Standard Webhooks; id and time are signed.
    Git,
}

impl Provider {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Git => "git",
        }
    }

    /// Parses the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Github, Self::Git]
            .into_iter()
            .find(|provider| provider.as_str() == text)
    }

    /// Whether the signature covers the delivery's id: where it does not, whoever saw a delivery can
    /// send its body again under another id.
    pub fn signs_the_id(self) -> bool {
        match self {
            Self::Github => false,
            Self::Git => true,
        }
    }

    /// The signature's algorithm, as stored.
    pub fn signature(self) -> &'static str {
        match self {
            Self::Github => "hmac-sha256",
            Self::Git => "standard-webhooks-v1",
        }
    }
}

/// A text that cannot be a hook's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Too short to be safe, or too long to be a secret.
    #[error("the secret has {0} bytes: wanted 16 to 256 (make one: `openssl rand -hex 32`)")]
    Length(usize),
    /// Not of Standard Webhooks' form.
    #[error(
        "not a Standard Webhooks secret: wanted `whsec_` and the base64 of 24 to 64 random bytes"
    )]
    Form,
}

/// Why a request was refused. The word is stored and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalReason {
    /// There is no such hook, or it is switched off.
    UnknownHook,
    /// No signature came.
    SignatureMissing,
    /// A signature came twice, empty, or in another form.
    SignatureMalformed,
    /// The signature is not of this body and a secret of this hook.
    SignatureWrong,
    /// The signed time is too far from ours.
    TimestampOutside,
    /// The body is larger than it may be.
    BodyTooLarge,
    /// The body did not come whole, or not in time.
    BodyTruncated,
    /// There is nothing in it.
    BodyEmpty,
    /// No id of the delivery came, or none that can be one.
    DeliveryIdMalformed,
    /// Another body came under this id before.
    IdReused,
    /// Too many bodies came at once to be held.
    Overloaded,
    /// More kinds of refusals came in one minute than are told apart.
    Other,
}

impl RefusalReason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::UnknownHook,
        Self::SignatureMissing,
        Self::SignatureMalformed,
        Self::SignatureWrong,
        Self::TimestampOutside,
        Self::BodyTooLarge,
        Self::BodyTruncated,
        Self::BodyEmpty,
        Self::DeliveryIdMalformed,
        Self::IdReused,
        Self::Overloaded,
        Self::Other,
    ];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownHook => "unknown-hook",
            Self::SignatureMissing => "signature-missing",
            Self::SignatureMalformed => "signature-malformed",
            Self::SignatureWrong => "signature-wrong",
            Self::TimestampOutside => "timestamp-outside",
            Self::BodyTooLarge => "body-too-large",
            Self::BodyTruncated => "body-truncated",
            Self::BodyEmpty => "body-empty",
            Self::DeliveryIdMalformed => "delivery-id-malformed",
            Self::IdReused => "id-reused",
            Self::Overloaded => "overloaded",
            Self::Other => "other",
        }
    }
}

/// What came of a delivery whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is stored and will be looked at.
    Accepted {
        /// Its id.
        id: DeliveryId,
    },
    /// The sender repeats itself: it gets the first one's id, and nothing happens.
    Repeated {
        /// The first one.
        id: DeliveryId,
    },
    /// The body came before under another, unsigned id: stored, and starts nothing.
    Replayed {
        /// Its id.
        id: DeliveryId,
        /// The earlier one.
        of: DeliveryId,
    },
    /// Another body came before under this id: not stored.
    IdReused,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The database.
    #[error("read or write deliveries")]
    Db(#[from] crate::db::Error),
    /// A large body.
    #[error("keep the body of delivery {id}")]
    Body {
        /// The delivery.
        id: DeliveryId,
        /// Why.
        #[source]
        source: crate::blob::BlobError,
    },
}
