//! What is accepted: a pipeline with every default filled in.

use crate::image::ImageRef;
use crate::name::Name;
use crate::protocol::{Ready, Service};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A checked pipeline. Stored as JSON in a run's frozen plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// What starts it.
    pub on: On,
    /// Its steps in the order of the file.
    pub steps: Vec<Step>,
}

/// What starts a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct On {
    /// Pushes that match.
    pub push: Option<Filter>,
    /// Pull requests that match; recorded, and not started yet.
    pub pull_request: Option<Filter>,
}

/// Filters over one event: glob patterns; `*` does not cross `/`, `**` does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Branches; none when only tags are given, else all when none are (plans of earlier versions say
    /// nothing then).
    pub branches: Option<Vec<String>>,
    /// Tags; none given: none.
    pub tags: Option<Vec<String>>,
    /// At least one changed file matches.
    pub paths: Vec<String>,
    /// Not when every changed file matches.
    pub paths_ignore: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name; of a build also the image's.
    pub name: Name,
    /// What it does.
    pub kind: StepKind,
    /// Steps that have to pass first, implied ones included, in the order of the file.
    pub needs: Vec<Name>,
    /// When it runs at all.
    pub when: When,
    /// Environment of its own container.
    pub env: BTreeMap<String, String>,
    /// What its containers may use together.
    pub resources: Resources,
    /// It is ended after this.
    pub timeout_ms: u64,
    /// JUnit reports in the source folder, as patterns.
    pub junit: Vec<String>,
    /// Files in the source folder to keep, as patterns.
    pub artifacts: Vec<String>,
    /// It acts on the outside world: never silently repeated.
    pub effects_outside: bool,
}

/// The kinds of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StepKind {
    /// An image from a Dockerfile.
    Build {
        /// The Dockerfile's path.
        dockerfile: String,
        /// The context's folder.
        context: String,
    },
    /// Static analysers.
    Analyze {
        /// Which.
        tools: Vec<ToolName>,
    },
    /// SBOM, vulnerabilities, secrets in layers.
    Scan {
        /// The build step whose image it is.
        image: Name,
    },
    /// The built image, started, and a probe against it.
    Test {
        /// The build step whose image it is.
        image: Name,
        /// Environment of the image under test.
        env: BTreeMap<String, String>,
        /// When it is ready.
        ready: Ready,
        /// Containers beside it.
        services: Vec<Service>,
        /// The image that holds the probe.
        probe: ImageRef,
        /// The probe's command.
        command: Vec<String>,
        /// How the command was written.
        source: ScriptSource,
    },
    /// A command in an image.
    Run {
        /// The image.
        image: ImageRef,
        /// The command.
        command: Vec<String>,
        /// How the command was written.
        source: ScriptSource,
    },
}

impl StepKind {
    /// The key in the file.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Build { .. } => "build",
            Self::Analyze { .. } => "analyze",
            Self::Scan { .. } => "scan",
            Self::Test { .. } => "test",
            Self::Run { .. } => "run",
        }
    }

    /// The build step whose image this step works on.
    pub fn image_of(&self) -> Option<&Name> {
        match self {
            Self::Scan { image } | Self::Test { image, .. } => Some(image),
            Self::Build { .. } | Self::Analyze { .. } | Self::Run { .. } => None,
        }
    }
}

/// How a command was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptSource {
    /// `script:`, run by `/bin/sh -eu`.
    Script,
    /// `command:`, run with no shell.
    Command,
}

/// The analysers that the catalogue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolName {
    /// Dockerfiles.
    Hadolint,
    /// Leaked secrets.
    Gitleaks,
}

impl ToolName {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hadolint => "hadolint",
            Self::Gitleaks => "gitleaks",
        }
    }
}

/// When a step runs; empty means always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// Branches, as patterns.
    pub branches: Vec<String>,
    /// Tags, as patterns.
    pub tags: Vec<String>,
    /// Events.
    pub events: Vec<EventKind>,
}

/// What can happen at a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A push.
    Push,
    /// A pull request.
    PullRequest,
}

impl EventKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull-request",
        }
    }
}

/// What the containers of a step may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU time in thousandths.
    pub cpu_milli: u64,
    /// Memory; the work area counts as memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// The work area.
    pub work_bytes: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu_milli: 1_000,
            memory_bytes: 512 << 20,
            pids: 256,
            work_bytes: 256 << 20,
        }
    }
}
