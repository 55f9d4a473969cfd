//! Images and releases.

use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::name::Name;
use std::collections::BTreeMap;

crate::id_type!(
    /// An observed image.
    ImageId
);

crate::id_type!(
    /// A release.
    ReleaseId
);

/// One manifest that the orchestrator read and hashed.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The project's id.
    pub project_id: String,
    /// The run that it came out of.
    pub run_id: String,
    /// The step that built it.
    pub step_id: String,
    /// Its name in the project: the step's.
    pub name: Name,
    /// Where it lies in quarantine.
    pub repository: Repository,
    /// What it is.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Config and layers together.
    pub image_bytes: i64,
    /// `linux/amd64`, …
    pub platforms: Vec<String>,
    /// The images that its Dockerfile named, by the plan.
    pub bases: Vec<ImageRef>,
    /// When it was read (µs since 1970 UTC).
    pub observed_at: i64,
}

/// Why a worker's claim did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The registry's bytes are not of the claimed digest.
    Mismatch,
    /// There is no such manifest.
    Missing,
    /// Another repository, another name, none, or more than one.
    WrongClaim,
    /// It is no image that is understood.
    NotAnImage,
    /// The registry would let the right that the build had write into an environment as well (P7).
    OpenRegistry,
    /// The registry could not be asked in time: nothing is known.
    Infrastructure,
}

impl RefusalReason {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::WrongClaim => "wrong-claim",
            Self::NotAnImage => "not-an-image",
            Self::OpenRegistry => "open-registry",
            Self::Infrastructure => "infrastructure",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [
            Self::Mismatch,
            Self::Missing,
            Self::WrongClaim,
            Self::NotAnImage,
            Self::OpenRegistry,
            Self::Infrastructure,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == text)
    }
}

/// What is known of a build's claim.
#[derive(Debug, Clone)]
pub enum Observation {
    /// Not looked at yet.
    Pending,
    /// It holds.
    Observed(Vec<Image>),
    /// It does not.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// In words.
        detail: String,
    },
}

/// All images of one successful run: what a gate judges and a promotion moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The project's id.
    pub project_id: String,
    /// The run.
    pub run_id: String,
    /// SHA-256 over names and digests.
    pub digest: Digest,
    /// What it consists of.
    pub images: BTreeMap<Name, ReleaseImage>,
    /// When it was made (µs since 1970 UTC).
    pub made_at: i64,
}

/// One image of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseImage {
    /// The image.
    pub image_id: ImageId,
    /// What it is.
    pub digest: Digest,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The database.
    #[error("read or write images")]
    Db(#[from] crate::db::Error),
    /// The registry.
    #[error("observe image of step {step_id}")]
    Observe {
        /// The step.
        step_id: String,
        /// Why.
        #[source]
        source: crate::registry::RegistryError,
    },
}
