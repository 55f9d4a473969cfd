//! Artifacts of steps: files that a worker uploads, by digest.

use super::state::{Error, LeaseKey};
use super::store::{self, NewArtifact};
use crate::blob::{Blobs, Received};
use crate::ground::Ground;
use bytes::Bytes;
use contract::digest::Digest;
use contract::protocol::{ARTIFACT_BYTES_MAX, ARTIFACTS_MAX};
use futures::Stream;

/// Longer paths are refused by most file systems.
const NAME_BYTES_MAX: usize = 255;

/// A relative path without tricks: `sarif/gitleaks.sarif`, `files/dist/x.tar`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactName(String);

/// The text is no artifact's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an artifact's name is a relative path of at most 255 bytes with no `.`, `..`, empty part, backslash or control character"
)]
pub struct BadArtifactName;

impl ArtifactName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, BadArtifactName> {
        let good_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && !part.contains('\\')
                && !part.chars().any(char::is_control)
        };
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(good_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadArtifactName)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upload.
pub struct ArtifactAsk {
    /// Its number, from 0.
    pub sequence: i64,
    /// Its name.
    pub name: ArtifactName,
    /// What it has to be.
    pub digest: Digest,
}

/// What came of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactStored {
    /// It is durable, now or since before.
    Durable,
    /// The lease has passed on.
    LeaseLost,
    /// Another artifact has this number or this name; in words.
    OutOfOrder(String),
    /// Larger than one may be, or too many.
    TooLarge,
    /// The bytes are not what the digest says, or they did not all come.
    NotThese,
}

impl LeaseKey {
    /// Stores an artifact.
    pub async fn store_artifact<E>(
        &self,
        ground: &Ground,
        blobs: &Blobs,
        ask: ArtifactAsk,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<ArtifactStored, Error> {
        {
            let mut conn = ground.db.reader().await?;
            if store::held(&mut conn, self).await?.is_none() {
                return Ok(ArtifactStored::LeaseLost);
            }
            let stored = store::artifacts(&mut conn, &self.step, self.fence).await?;
            if let Some(known) = known(&stored, &ask) {
                return Ok(known);
            }
            if stored.len() >= ARTIFACTS_MAX {
                return Ok(ArtifactStored::TooLarge);
            }
        }
        let receiving = blobs.receive(body, &ask.digest, ARTIFACT_BYTES_MAX);
        let received = crate::kill::outside("artifact.store", receiving).await;
        let bytes = match received.map_err(|source| Error::Artifact {
            step: self.step.clone(),
            source,
        })? {
            Received::Stored { bytes } => i64::try_from(bytes).unwrap_or(i64::MAX),
            Received::TooLarge => return Ok(ArtifactStored::TooLarge),
            Received::NotThese => return Ok(ArtifactStored::NotThese),
        };
        let (now, key) = (ground.now(), self.clone());
        let id = ground.ids.uuid().to_string();
        // One guarded INSERT under unique keys: READ COMMITTED is enough.
        let inserted = ground
            .db
            .write_guarded("step.artifact", move |conn| {
                Box::pin(async move {
                    let new = NewArtifact {
                        id: &id,
                        sequence: ask.sequence,
                        name: ask.name.as_str(),
                        digest: &ask.digest,
                        bytes,
                    };
                    Ok::<_, Error>(store::insert_artifact(conn, &key, new, now).await?)
                })
            })
            .await?;
        Ok(if inserted {
            ArtifactStored::Durable
        } else {
            ArtifactStored::LeaseLost
        })
    }
}

/// What is known of an upload already: a repeat, or something else under its number or name.
fn known(stored: &[store::ArtifactRow], ask: &ArtifactAsk) -> Option<ArtifactStored> {
    let row = stored
        .iter()
        .find(|row| row.sequence == ask.sequence || row.name == ask.name.as_str())?;
    let same = row.sequence == ask.sequence
        && row.name == ask.name.as_str()
        && row.digest == ask.digest.to_string();
    Some(if same {
        ArtifactStored::Durable
    } else {
        ArtifactStored::OutOfOrder(format!(
            "another artifact has number {} or name {}",
            ask.sequence,
            ask.name.as_str()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifacts_name_stays_below_its_folder() {
        for good in ["a", "sarif/gitleaks.sarif", "files/dist/x y.tar", "..a"] {
            assert!(ArtifactName::parse(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "/a",
            "a//b",
            "../a",
            "a/..",
            "a/./b",
            "a\\b",
            "a\nb",
            long.as_str(),
        ] {
            assert!(ArtifactName::parse(bad).is_err(), "{bad}");
        }
    }
}
