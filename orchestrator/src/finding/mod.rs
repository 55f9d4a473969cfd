//! What scanners said, normalised, and what advisories say about what an image holds.
//!
//! *Comes in*: the stored bytes of a reported step's SARIF, JUnit and CycloneDX; advisories (OSV)
//! from an operator.
//! *Goes out*: findings, test results and packages of a step; the verdict over a reported step;
//! what is open for a release.
//! *Owns*: `finding_report`, `verdict`, `finding`, `package`, `sbom`, `advisory_source`, `advisory`,
//! `advisory_package`.
//! *Never*: a secret that a scanner found (snippets are dropped unread into storage), a network
//! look-up, a package called clean because nothing could judge it.
//! *Before / After*: `image` / `attestation`.

pub mod state;
pub mod store;
pub mod reconcile;
pub mod expected;
pub mod parse;
pub mod fingerprint;
pub mod verdict;
pub mod advisory;
mod answer;
pub mod open;

pub use fingerprint::Fingerprint;
#[cfg(test)]
mod tests;

pub use answer::StoredVerdicts;
pub use open::{Known, TestTotals, Unchecked, open_for_release, unchecked_in_run};
pub use reconcile::pass;
pub use state::{Finding, Location, PackageAt, Severity};
pub use store::{Open, ReportRow, open_in_run, packages, reports_of_run, verdict as verdict_of};
pub use verdict::Verdict;
