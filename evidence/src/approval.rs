//! A person's yes or no to one exact thing: the statement of an approval.
//!
//! Its bytes are made once, shown to the person, stored and (with passkeys) signed: a passkey's
//! challenge is SHA-256 over the PAE of [`crate::names::APPROVAL`] and these bytes (DECISIONS 8).

use crate::decision::Target;
use contract::digest::Digest;
use contract::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the form.
pub const VERSION: u32 = 1;
/// A statement is a page at most: one of a megabyte is an attack.
pub const APPROVAL_BYTES_MAX: usize = 256 * 1024;

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What a person said yes or no to. Times are µs since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// [`VERSION`].
    pub version: u32,
    /// The instance's id.
    pub instance: String,
    /// The project's name.
    pub project: String,
    /// The promotion's id.
    pub promotion: String,
    /// The environment that the release is to enter.
    pub environment: String,
    /// The release's id.
    pub release: String,
    /// The release's digest, over names and digests of its images.
    pub release_digest: Digest,
    /// Each image and the repository that it is to enter.
    pub images: BTreeMap<Name, Target>,
    /// SHA-256 of the evidence that the person was shown.
    pub evidence: Digest,
    /// The version of the settings that hold the gate.
    pub settings_version: i64,
    /// The answer.
    pub answer: Answer,
    /// Why, in the person's words.
    pub reason: String,
    /// The person's id.
    pub approver: String,
    /// The role by which they may answer.
    pub role: String,
    /// Random, so that no two approvals are the same bytes.
    pub nonce: String,
    /// When it was given.
    pub given_at: i64,
    /// It says nothing any more from then on.
    pub expires_at: i64,
}

/// The bytes are not an approval that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApproval {
    /// Not JSON of the form.
    #[error("not an approval: {0}")]
    Form(String),
    /// Another version.
    #[error("an approval of version {0}, this program knows {VERSION}")]
    Version(u32),
}

impl Approval {
    /// The bytes that are stored and signed; made once.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidApproval> {
        serde_json::to_vec(self).map_err(|e| InvalidApproval::Form(e.to_string()))
    }

    /// Reads stored bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidApproval> {
        if bytes.len() > APPROVAL_BYTES_MAX {
            return Err(InvalidApproval::Form(format!("{} bytes", bytes.len())));
        }
        let approval: Self =
            serde_json::from_slice(bytes).map_err(|e| InvalidApproval::Form(e.to_string()))?;
        if approval.version != VERSION {
            return Err(InvalidApproval::Version(approval.version));
        }
        Ok(approval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::image::Repository;

    fn example() -> Approval {
        let target = Target {
            repository: Repository::parse("127.0.0.1:5000/prod/shop/web").unwrap(),
            digest: Digest::of(b"image"),
        };
        Approval {
            version: VERSION,
            instance: "01990000-0000-7000-8000-000000000000".to_owned(),
            project: "shop".to_owned(),
            promotion: "01990000-0000-7000-8000-000000000001".to_owned(),
            environment: "prod".to_owned(),
            release: "01990000-0000-7000-8000-000000000002".to_owned(),
            release_digest: Digest::of(b"release"),
            images: BTreeMap::from([(Name::parse("web").unwrap(), target)]),
            evidence: Digest::of(b"evidence"),
            settings_version: 3,
            answer: Answer::Approve,
            reason: "prices are right again".to_owned(),
            approver: "01990000-0000-7000-8000-000000000003".to_owned(),
            role: "release-manager".to_owned(),
            nonce: "00112233445566778899aabbccddeeff".to_owned(),
            given_at: 1_790_000_000_000_000,
            expires_at: 1_790_086_400_000_000,
        }
    }

    #[test]
    fn an_approval_reads_as_ever_and_back() {
        let bytes = example().to_bytes().unwrap();
        let golden = include_str!("../tests/golden/approval.json").trim_end();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), golden);
        assert_eq!(Approval::read(&bytes).unwrap(), example());
    }

    #[test]
    fn a_newer_version_is_not_guessed_at() {
        let mut newer = example();
        newer.version = 2;
        let bytes = newer.to_bytes().unwrap();
        assert_eq!(Approval::read(&bytes), Err(InvalidApproval::Version(2)));
        assert!(Approval::read(&vec![b' '; APPROVAL_BYTES_MAX + 1]).is_err());
    }
}
