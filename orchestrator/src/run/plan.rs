//! The frozen plan: what was checked once and never changes, as JSON with a version in `run.plan`.

use contract::image::{ImageRef, Repository};
use contract::name::Name;
use contract::protocol::{Ready, Resources, Tool};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The plan of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form: 1.
    pub v: u32,
    /// Steps of the project that may be leased at once.
    pub parallel_steps: u32,
    /// The steps, in the order of the file.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan. The same JSON is stored in `step.work`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its name.
    pub name: Name,
    /// The steps that have to pass before it.
    pub needs: Vec<Name>,
    /// What it does.
    pub work: PlannedWork,
    /// Environment of its own container.
    pub env: BTreeMap<String, String>,
    /// What its containers may use together.
    pub resources: Resources,
    /// How long it may take.
    pub timeout_ms: u64,
    /// Files to keep, glob patterns.
    pub artifacts: Vec<String>,
    /// JUnit reports to keep, glob patterns.
    pub junit: Vec<String>,
    /// It has effects outside and is never repeated silently.
    pub effects_outside: bool,
}

/// What a step does; an image that another step builds is named by that step until it is observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlannedWork {
    /// A command in an image.
    Run {
        /// The image.
        image: ImageRef,
        /// The command, in exec form.
        command: Vec<String>,
    },
    /// Static analysers over the source.
    Analyze {
        /// The tools.
        tools: Vec<Tool>,
    },
    /// An image from a Dockerfile.
    Build {
        /// The Dockerfile's path in the source.
        dockerfile: String,
        /// The context's folder in the source.
        context: String,
        /// Its repository in quarantine.
        repository: Repository,
        /// Patterns of the images that may be named.
        known_registries: Vec<String>,
        /// The outside images that the Dockerfile names: what the worker may pull for it.
        bases: Vec<ImageRef>,
    },
    /// SBOM and secrets of an image of this run.
    Scan {
        /// The step that builds the image.
        of: Name,
        /// Makes the SBOM.
        sbom: Tool,
        /// Looks for secrets in the layers.
        secrets: Tool,
    },
    /// An image of this run, started, and a probe against it.
    Test {
        /// The step that builds the image.
        of: Name,
        /// Environment of the image under test.
        env: BTreeMap<String, String>,
        /// When it is ready.
        ready: Ready,
        /// Further containers in the pod.
        services: Vec<PlannedService>,
        /// The image that holds the probe.
        probe: ImageRef,
        /// The probe's command, in exec form.
        command: Vec<String>,
    },
}

/// A container beside the image under test.
pub type PlannedService = contract::protocol::Service;

impl PlannedWork {
    /// The stored word of `step.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Analyze { .. } => "analyze",
            Self::Build { .. } => "build",
            Self::Scan { .. } => "scan",
            Self::Test { .. } => "test",
        }
    }

    /// The step whose image this one works on.
    pub fn image_of(&self) -> Option<&Name> {
        match self {
            Self::Scan { of, .. } | Self::Test { of, .. } => Some(of),
            Self::Run { .. } | Self::Analyze { .. } | Self::Build { .. } => None,
        }
    }
}
