//! Whether an event starts a pipeline, or a step runs: pure, with the reason in words.

use super::pipeline::{EventKind, Filter, On, Pipeline, When};
use crate::image::Repository;
use crate::language::RegistryPattern;
use crate::name::Name;
use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;

/// The longest pattern; more is a program.
const PATTERN_BYTES_MAX: usize = 256;

/// What happened at the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// A push or a pull request.
    pub event: EventKind,
    /// `refs/heads/main`, `refs/tags/v1`.
    pub ref_name: &'a str,
    /// Files that changed; `None`: not known (a new branch), which matches every path filter.
    pub changed_paths: Option<&'a [String]>,
}

/// Whether it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// It does.
    Yes,
    /// It does not: a stable reason, and the words for people.
    No {
        /// `event-not-wanted`, `branch-not-matched`, `tag-not-matched`, `paths-not-matched`,
        /// `paths-ignored`, `ref-not-wanted`.
        reason: &'static str,
        /// In words.
        detail: String,
    },
}

/// Compiles a pattern: `*` and `?` do not cross `/`, `**` does.
pub(crate) fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    built(pattern).map(|glob| glob.compile_matcher())
}

fn built(pattern: &str) -> Result<globset::Glob, String> {
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has 1 to {PATTERN_BYTES_MAX} bytes"));
    }
    let built = GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    built.map_err(|error| error.kind().to_string())
}

/// Patterns as one matcher, compiled once for all the texts that are asked about. A pattern that does not
/// compile matches nothing; `check` lets none through.
fn set<P: AsRef<str>>(patterns: &[P]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in patterns.iter().filter_map(|p| built(p.as_ref()).ok()) {
        set.add(glob);
    }
    set.build().unwrap_or_default()
}

/// Whether any of the patterns matches.
pub fn patterns_match<P: AsRef<str>>(patterns: &[P], text: &str) -> bool {
    set(patterns).is_match(text)
}

/// Whether a repository is covered by known-registries (`registry/name/*`).
pub fn registry_matches(known: &[String], repository: &Repository) -> bool {
    known
        .iter()
        .any(|known| RegistryPattern::parse(known).is_ok_and(|known| known.matches(repository)))
}

/// Whether a change starts the pipeline.
pub fn matches(on: &On, change: &Change<'_>) -> Matched {
    let filter = match change.event {
        EventKind::Push => &on.push,
        EventKind::PullRequest => &on.pull_request,
    };
    match filter {
        Some(filter) => filter_matches(filter, change),
        None => {
            let detail = format!(
                "the pipeline file does not name `{}` under `on`",
                change.event.as_str()
            );
            Matched::No {
                reason: "event-not-wanted",
                detail,
            }
        }
    }
}

fn filter_matches(filter: &Filter, change: &Change<'_>) -> Matched {
    let no = |reason, detail: String| Matched::No { reason, detail };
    if let Some(branch) = change.ref_name.strip_prefix("refs/heads/") {
        match &filter.branches {
            Some(patterns) if !patterns_match(patterns, branch) => {
                let detail = format!("branch `{branch}` matches none of {}", patterns.join(", "));
                return no("branch-not-matched", detail);
            }
            None if filter.tags.is_some() => {
                return no(
                    "branch-not-matched",
                    "only tags start this pipeline".to_owned(),
                );
            }
            Some(_) | None => {}
        }
    } else if let Some(tag) = change.ref_name.strip_prefix("refs/tags/") {
        match &filter.tags {
            Some(patterns) if patterns_match(patterns, tag) => {}
            Some(patterns) => {
                let detail = format!("tag `{tag}` matches none of {}", patterns.join(", "));
                return no("tag-not-matched", detail);
            }
            None => return no("tag-not-matched", "no tag starts this pipeline".to_owned()),
        }
    } else {
        let detail = format!("`{}` is neither a branch nor a tag", change.ref_name);
        return no("ref-not-wanted", detail);
    }
    paths_match(filter, change.changed_paths)
}

fn paths_match(filter: &Filter, changed: Option<&[String]>) -> Matched {
    let no = |reason, detail: String| Matched::No { reason, detail };
    let Some(changed) = changed else {
        return Matched::Yes;
    };
    let wanted = set(&filter.paths);
    if !filter.paths.is_empty() && !changed.iter().any(|path| wanted.is_match(path)) {
        let detail = format!(
            "none of {} changed files matches {}",
            changed.len(),
            filter.paths.join(", ")
        );
        return no("paths-not-matched", detail);
    }
    let ignored = set(&filter.paths_ignore);
    let all_ignored = changed.iter().all(|path| ignored.is_match(path));
    if !filter.paths_ignore.is_empty() && !changed.is_empty() && all_ignored {
        let detail = format!(
            "all {} changed files match {}",
            changed.len(),
            filter.paths_ignore.join(", ")
        );
        return no("paths-ignored", detail);
    }
    Matched::Yes
}

/// Whether a step runs for this change; `Err` says why not.
pub fn when_matches(when: &When, event: EventKind, ref_name: &str) -> Result<(), String> {
    if !when.events.is_empty() && !when.events.contains(&event) {
        return Err(format!("not for a {}", event.as_str()));
    }
    let branch = ref_name.strip_prefix("refs/heads/");
    let tag = ref_name.strip_prefix("refs/tags/");
    if when.branches.is_empty() && when.tags.is_empty() {
        return Ok(());
    }
    let good = branch.is_some_and(|branch| patterns_match(&when.branches, branch))
        || tag.is_some_and(|tag| patterns_match(&when.tags, tag));
    if good {
        Ok(())
    } else {
        Err(format!("`{ref_name}` is not among its branches and tags"))
    }
}

/// The steps that run for an event on a ref: those whose `when` matches and that need no step that does
/// not run.
pub fn steps_that_run<'p>(
    pipeline: &'p Pipeline,
    event: EventKind,
    ref_name: &str,
) -> BTreeSet<&'p Name> {
    let steps = &pipeline.steps;
    let matching = steps
        .iter()
        .filter(|step| when_matches(&step.when, event, ref_name).is_ok());
    let mut runs: BTreeSet<&Name> = matching.map(|step| &step.name).collect();
    loop {
        let before = runs.len();
        for step in steps {
            // What works on an image needs the step that builds it: `needs` holds that one, too.
            if step.needs.iter().any(|name| !runs.contains(name)) {
                runs.remove(&step.name);
            }
        }
        if runs.len() == before {
            return runs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_paths_and_patterns_are_asked_in_a_moment() {
        let patterns = (0..200).map(|i| format!("services/{i}/**/*.{{md,txt}}"));
        let filter = Filter {
            paths_ignore: patterns.collect(),
            ..Filter::default()
        };
        let changed: Vec<String> = (0..10_000)
            .map(|i| format!("services/{}/docs/{i}.md", i % 200))
            .collect();
        let began = std::time::Instant::now();
        assert_eq!(
            reason(push(filter, "refs/heads/a", Some(&changed))),
            "paths-ignored"
        );
        // Compiled for each path it takes minutes.
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    }

    fn push(filter: Filter, ref_name: &str, paths: Option<&[String]>) -> Matched {
        let on = On {
            push: Some(filter),
            pull_request: None,
        };
        matches(
            &on,
            &Change {
                event: EventKind::Push,
                ref_name,
                changed_paths: paths,
            },
        )
    }

    fn reason(matched: Matched) -> &'static str {
        match matched {
            Matched::Yes => "yes",
            Matched::No { reason, .. } => reason,
        }
    }

    #[test]
    fn a_push_starts_by_branch_tag_and_path() {
        let branches = |list: &[&str]| Filter {
            branches: Some(list.iter().map(|s| (*s).to_owned()).collect()),
            ..Filter::default()
        };
        assert_eq!(
            reason(push(branches(&["main"]), "refs/heads/main", None)),
            "yes"
        );
        assert_eq!(
            reason(push(branches(&["release/*"]), "refs/heads/release/1", None)),
            "yes"
        );
        assert_eq!(
            reason(push(
                branches(&["release/*"]),
                "refs/heads/release/1/x",
                None
            )),
            "branch-not-matched"
        );
        assert_eq!(
            reason(push(branches(&["main"]), "refs/tags/v1", None)),
            "tag-not-matched"
        );
        assert_eq!(
            reason(push(branches(&["main"]), "refs/notes/x", None)),
            "ref-not-wanted"
        );
        let ignoring = Filter {
            paths_ignore: vec!["docs/**".to_owned()],
            ..Filter::default()
        };
        let docs = ["docs/a/b.md".to_owned()];
        let both = ["docs/a.md".to_owned(), "src/x".to_owned()];
        assert_eq!(
            reason(push(ignoring.clone(), "refs/heads/a", Some(&docs))),
            "paths-ignored"
        );
        assert_eq!(reason(push(ignoring, "refs/heads/a", Some(&both))), "yes");
    }

    #[test]
    fn a_known_registry_does_not_cover_its_lookalikes() {
        let known = ["registry.example/base/*".to_owned()];
        let covered = |text: &str| registry_matches(&known, &Repository::parse(text).unwrap());
        assert!(covered("registry.example/base/python"));
        assert!(!covered("registry.example/base/python/evil"));
        assert!(!covered("registry.example.evil.example/base/python"));
        assert!(!covered("registry.example/bases/python"));
    }
}
