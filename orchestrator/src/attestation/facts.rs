//! What is known of a build, as the tables hold it: the one input of a statement.

use contract::digest::Digest;
use contract::level::Level;
use contract::protocol::Report;

/// What is known of the step that built an image and of its run.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The project's name.
    pub(super) project: String,
    /// Where its repository is, by the settings that the plan was made under.
    pub(super) repository: String,
    pub(super) run_number: i64,
    pub(super) ref_name: String,
    pub(super) commit: String,
    pub(super) trust: String,
    pub(super) settings_version: i64,
    pub(super) pipeline_path: String,
    pub(super) pipeline_digest: Digest,
    /// The frozen plan, verbatim.
    pub(super) plan: String,
    pub(super) source_digest: Digest,
    /// The step that built it.
    pub(super) step: String,
    pub(super) started_at: i64,
    pub(super) finished_at: i64,
    /// The most that this worker may claim of how it holds containers apart.
    pub(super) granted: Level,
    /// What the worker signed about it.
    pub(super) report: Report,
    /// Step name and SHA-256 of each log of the run.
    pub(super) logs: Vec<(String, Digest)>,
    /// This instance's address.
    pub(super) public_url: String,
    /// Whether the signer runs under another uid.
    pub(super) signer_apart: bool,
}
