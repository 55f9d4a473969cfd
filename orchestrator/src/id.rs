//! Ids and randomness. Ids are UUID v7 as 36 lower-case characters, one type per kind (DECISIONS 1).

use crate::clock::Clock;
use std::sync::Arc;

/// Makes ids and random bytes.
pub trait IdSource: Send + Sync {
    /// A new UUID v7.
    fn uuid(&self) -> uuid::Uuid;
    /// Fills with random bytes fit for keys.
    fn random(&self, bytes: &mut [u8]);
}

/// Ids by the clock and the system's randomness.
pub struct SystemIds {
    clock: Arc<dyn Clock>,
}

impl SystemIds {
    /// Takes the time part of ids from this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl IdSource for SystemIds {
    fn uuid(&self) -> uuid::Uuid {
        let mut random = [0; 10];
        self.random(&mut random);
        let millis = u64::try_from(self.clock.now().0 / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn random(&self, bytes: &mut [u8]) {
        // Without randomness no key, token or nonce is safe: there is nothing sensible to go on to.
        #[expect(
            clippy::expect_used,
            reason = "the system has no randomness: nothing is safe"
        )]
        getrandom::fill(bytes).expect("the system gives random bytes");
    }
}

/// `bytes` random bytes as lower-case hex.
pub fn random_hex(ids: &dyn IdSource, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    ids.random(&mut buffer);
    hex::encode(buffer)
}

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: wanted 36 characters of a UUID")]
pub struct InvalidId;

/// Defines an id's type: parsed from text, made by an [`IdSource`], shown as text.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new one.
            pub fn new(ids: &dyn $crate::id::IdSource) -> Self {
                Self(ids.uuid().to_string())
            }

            /// Parses the 36 lower-case characters.
            pub fn parse(text: &str) -> Result<Self, $crate::id::InvalidId> {
                let uuid = uuid::Uuid::try_parse(text).map_err(|_| $crate::id::InvalidId)?;
                if uuid.to_string() == text {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($crate::id::InvalidId)
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::id::InvalidId;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
