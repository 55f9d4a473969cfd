//! A gate's decision as it leaves the server: what permits a release signature in an environment.

use contract::digest::Digest;
use contract::image::Repository;
use contract::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the form.
pub const VERSION: u32 = 1;

/// One image and the repository that it is to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The environment's own repository of this image.
    pub repository: Repository,
    /// Which image.
    pub digest: Digest,
}

/// Whether a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It does.
    Open,
    /// It does not.
    Closed,
}

/// A gate's judgement of one release before one environment. Times are µs since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// [`VERSION`].
    pub version: u32,
    /// The decision's id.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The promotion's id.
    pub promotion: String,
    /// The environment.
    pub environment: String,
    /// The release's id.
    pub release: String,
    /// Each image and where it may go.
    pub images: BTreeMap<Name, Target>,
    /// SHA-256 of the evidence that was judged.
    pub evidence: Digest,
    /// The version of the settings that hold the gate.
    pub settings_version: i64,
    /// The judgement.
    pub outcome: Outcome,
    /// How many people had to say yes.
    pub approvals_required: u32,
    /// When it was judged.
    pub decided_at: i64,
}
