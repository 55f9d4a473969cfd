//! Decides: pure, no I/O, no clock.

use super::state::{Decision, SkipReason};
use contract::language::{Change, CheckContext, EventKind, Matched, check, matches};

/// What was found out about one ref of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The ref.
    pub ref_name: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether the repository names its objects by SHA-256.
    pub other_hash: bool,
    /// Whether the repository has the commit.
    pub commit_found: bool,
    /// Whether the ref stands elsewhere by now and this commit, or a later one, was started for it before.
    pub stale: bool,
    /// The pipeline file at the commit.
    pub file: FileFacts,
    /// Its path, for words.
    pub path: String,
    /// What changed since the ref's last commit; none when that cannot be said.
    pub changed_paths: Option<Vec<String>>,
}

/// The pipeline file at the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFacts {
    /// There is none.
    Missing,
    /// There is something that cannot be read as one (too large, a link): its run says so.
    Unreadable,
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// Whether a run starts. Filters of a file that is broken cannot be asked, so it starts, and the run
/// lists what is wrong.
pub fn evaluate(facts: &Facts) -> Decision {
    let skip = |reason, detail: String| Decision::Skip { reason, detail };
    if facts.deleted {
        return skip(
            SkipReason::DeletedRef,
            format!("{} was deleted", facts.ref_name),
        );
    }
    if facts.other_hash {
        let detail = "repositories that name commits by SHA-256 cannot be read yet: make one with `git init \
             --object-format=sha1`";
        return skip(SkipReason::OtherObjectFormat, detail.to_owned());
    }
    if !facts.commit_found {
        let detail = "the repository has no such commit any more".to_owned();
        return skip(SkipReason::CommitNotFound, detail);
    }
    if facts.stale {
        let detail = format!(
            "{} stands elsewhere by now, and this commit or a later one was started for it before",
            facts.ref_name
        );
        return skip(SkipReason::Stale, detail);
    }
    let bytes = match &facts.file {
        FileFacts::Missing => {
            let detail = format!("there is no {} at this commit", facts.path);
            return skip(SkipReason::NoPipelineFile, detail);
        }
        FileFacts::Unreadable => {
            return Decision::Start {
                detail: format!("{} cannot be read", facts.path),
            };
        }
        FileFacts::Bytes(bytes) => bytes,
    };
    // Registries and limits are the run's to judge; here only `on` is asked.
    let Ok(pipeline) = check(&facts.path, bytes, &CheckContext::default()) else {
        return Decision::Start {
            detail: format!("{} has complaints", facts.path),
        };
    };
    let change = Change {
        event: EventKind::Push,
        ref_name: &facts.ref_name,
        changed_paths: facts.changed_paths.as_deref(),
    };
    match matches(&pipeline.on, &change) {
        Matched::Yes => Decision::Start {
            detail: format!("{} starts for {}", facts.path, facts.ref_name),
        },
        Matched::No { reason, detail } => skip(SkipReason::of_filter(reason), detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 1\non: { push: { branches: [main], paths-ignore: [\"docs/**\"] } }\nsteps:\n  web: { build: {} }\n";

    fn facts(ref_name: &str, file: FileFacts) -> Facts {
        Facts {
            ref_name: ref_name.to_owned(),
            deleted: false,
            other_hash: false,
            commit_found: true,
            stale: false,
            file,
            path: ".sallyport.yml".to_owned(),
            changed_paths: None,
        }
    }

    fn reason(facts: &Facts) -> &'static str {
        match evaluate(facts) {
            Decision::Start { .. } => "start",
            Decision::Skip { reason, .. } => reason.as_str(),
        }
    }

    #[test]
    fn each_skip_has_its_reason() {
        let good = FileFacts::Bytes(FILE.as_bytes().to_vec());
        let main = "refs/heads/main";
        assert_eq!(reason(&facts(main, good.clone())), "start");
        assert_eq!(
            reason(&facts("refs/heads/x", good.clone())),
            "branch-not-matched"
        );
        assert_eq!(
            reason(&facts("refs/tags/v1", good.clone())),
            "tag-not-matched"
        );
        assert_eq!(reason(&facts(main, FileFacts::Missing)), "no-pipeline-file");
        let docs = Facts {
            changed_paths: Some(vec!["docs/a.md".to_owned()]),
            ..facts(main, good.clone())
        };
        assert_eq!(reason(&docs), "paths-ignored");
        assert_eq!(
            reason(&Facts {
                deleted: true,
                ..facts(main, good.clone())
            }),
            "deleted-ref"
        );
        assert_eq!(
            reason(&Facts {
                commit_found: false,
                ..facts(main, good.clone())
            }),
            "commit-not-found"
        );
        assert_eq!(
            reason(&Facts {
                stale: true,
                ..facts(main, good.clone())
            }),
            "stale"
        );
        assert_eq!(
            reason(&Facts {
                other_hash: true,
                commit_found: false,
                ..facts(main, good)
            }),
            "other-object-format"
        );
    }

    #[test]
    fn a_broken_file_starts_a_run_that_says_what_is_wrong() {
        for broken in ["on: [", "version: 1\ncolour: red\n", "\u{0}"] {
            let file = FileFacts::Bytes(broken.as_bytes().to_vec());
            assert_eq!(reason(&facts("refs/heads/x", file)), "start", "{broken:?}");
        }
        assert_eq!(
            reason(&facts("refs/heads/main", FileFacts::Unreadable)),
            "start"
        );
    }
}
