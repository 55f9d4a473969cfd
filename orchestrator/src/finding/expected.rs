//! What a step's reports have to be, read from its frozen plan: without this, a report that nobody
//! sent could not be missed.

use crate::run::{PlannedStep, PlannedWork};

/// What a step does, as far as its reports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// One SARIF for each of these tools.
    Analyze {
        /// Their names.
        tools: Vec<String>,
    },
    /// A bill of materials of this image, and the SARIF of a scanner for secrets.
    Scan {
        /// The image's name.
        image: String,
        /// The tool that makes the bill.
        sbom: String,
        /// The tool that looks for secrets.
        secrets: String,
    },
    /// JUnit at each of these patterns (none: only the exit counts).
    Test {
        /// Globs below the source.
        junit: Vec<String>,
    },
    /// As for a test, but the exit decides.
    Run {
        /// Globs below the source.
        junit: Vec<String>,
    },
}

impl Expected {
    /// Reads a step's plan (`step.work`); none when it cannot be read or wants no reports.
    pub fn of(work: &str) -> Option<Self> {
        let planned: PlannedStep = serde_json::from_str(work).ok()?;
        match planned.work {
            PlannedWork::Analyze { tools } => Some(Self::Analyze {
                tools: tools.into_iter().map(|tool| tool.name).collect(),
            }),
            PlannedWork::Scan { of, sbom, secrets } => Some(Self::Scan {
                image: of.to_string(),
                sbom: sbom.name,
                secrets: secrets.name,
            }),
            PlannedWork::Test { .. } => Some(Self::Test {
                junit: planned.junit,
            }),
            PlannedWork::Run { .. } => Some(Self::Run {
                junit: planned.junit,
            }),
            PlannedWork::Build { .. } => None,
        }
    }
}
