//! Something starts a pipeline.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::{File, Push};

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let Some(on) = &file.on else {
        return;
    };
    let (place, label) = match (&on.push_key, &on.push) {
        (None, _) if on.pull_request.is_none() => (on.key, "no event here"),
        (Some(key), Some(push)) if names_nothing(push) => (*key, "no branch and no tag fits"),
        (None | Some(_), _) => return,
    };
    complaints
        .error(
            Code::NeverStarts,
            place,
            "nothing starts this pipeline",
            label,
        )
        .help("write `push: { branches: [main] }`");
}

/// Lists that are there and empty; one that is left out fits every branch only beside no other.
fn names_nothing(push: &Push) -> bool {
    let lists = [&push.branches, &push.tags];
    lists.iter().any(|list| list.is_some())
        && lists
            .iter()
            .all(|list| list.as_ref().is_none_or(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use crate::language::{CheckContext, check_all};

    #[test]
    fn something_starts_a_pipeline() {
        let file = "version: 1\non: {}\nsteps: { a: { analyze: {} } }\n";
        let checked = check_all("p.yml", file.as_bytes(), &CheckContext::default());
        insta::assert_snapshot!(checked.rendered(), @r"
        error[never-starts]: nothing starts this pipeline
          --> p.yml:2:1
           |
         2 | on: {}
           | ^^ no event here
           = help: write `push: { branches: [main] }`
           = more: docs/language.md#never-starts
        ");
    }

    #[test]
    fn empty_lists_start_nothing() {
        let told = |push: &str| {
            let file =
                format!("version: 1\non: {{ push: {push} }}\nsteps: {{ a: {{ analyze: }} }}\n");
            check_all("p.yml", file.as_bytes(), &CheckContext::default()).rendered()
        };
        for empty in [
            "{ branches: [] }",
            "{ tags: [] }",
            "{ branches: [], tags: [] }",
        ] {
            assert!(told(empty).starts_with("error[never-starts]"), "{empty}");
        }
        for good in [
            "{ branches: [], tags: [v1] }",
            "{ branches: [a], tags: [] }",
        ] {
            assert_eq!(told(good), "", "{good}");
        }
        // What is wrong with an event is said, and not that there is none.
        assert!(!told("text").contains("never-starts"));
        insta::assert_snapshot!(told("{ branches: [] }"), @r"
        error[never-starts]: nothing starts this pipeline
          --> p.yml:2:7
           |
         2 | on: { push: { branches: [] } }
           |       ^^^^ no branch and no tag fits
           = help: write `push: { branches: [main] }`
           = more: docs/language.md#never-starts
        ");
    }
}
