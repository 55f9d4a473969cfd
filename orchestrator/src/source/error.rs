//! What could not be done with a repository.

use contract::digest::CommitId;

/// An operation on a mirror did not happen.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The mirror could not be opened or made.
    #[error("open mirror of project {project}")]
    Open {
        /// The project's id.
        project: String,
        /// Why.
        #[source]
        source: git2::Error,
    },
    /// The repository could not be fetched: what git said.
    #[error("fetch repository of project {project}: {problem}")]
    Git {
        /// The project's id.
        project: String,
        /// Why.
        problem: String,
    },
    /// A commit, tree or blob could not be read.
    #[error("read commit {commit} of project {project}")]
    Read {
        /// The project's id.
        project: String,
        /// The commit.
        commit: CommitId,
        /// Why.
        #[source]
        source: git2::Error,
    },
    /// The archive could not be written.
    #[error("archive commit {commit}")]
    Archive {
        /// The commit.
        commit: CommitId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The thread that read ended badly.
    #[error("a reader of project {0} panicked")]
    Panicked(String),
}
