//! One place, one meaning: no environment shares a prefix with another or with quarantine.

use crate::complaint::{Code, Complaints, Spanned};
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let mut used: Vec<(String, &Spanned<String>)> = Vec::new();
    used.extend(
        file.quarantine
            .iter()
            .map(|text| ("quarantine".to_owned(), text)),
    );
    for environment in &file.environments {
        let Some(repository) = &environment.repository else {
            continue;
        };
        for (owner, other) in &used {
            if overlap(&repository.value, &other.value) {
                let message = "two places for images lie in each other";
                let label = format!("this is {owner}'s too");
                complaints
                    .error(Code::RepositoryOverlap, repository.span, message, label)
                    .help("what lies in a repository says where it stands: give each its own");
            }
        }
        used.push((format!("`{}`", environment.name.value), repository));
    }
}

fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (format!("{a}/"), format!("{b}/"));
    a.starts_with(&b) || b.starts_with(&a)
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn every_environment_has_a_place_of_its_own() {
        insta::assert_snapshot!(complaints_about(&[], "  dev: { repository: registry.example/quarantine/shop/x, promote: automatic, gate: {} }\n  prod: { repository: registry.example/prod, promote: by-hand, gate: {} }\n  other: { repository: registry.example/prod, promote: by-hand, gate: {} }\n"), @r"
        error[repository-overlap]: two places for images lie in each other
          --> settings.yml:7:22
           |
         7 |   dev: { repository: registry.example/quarantine/shop/x, promote: automatic, gate: {} }
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this is quarantine's too
           = help: what lies in a repository says where it stands: give each its own
           = more: docs/language.md#repository-overlap

        error[repository-overlap]: two places for images lie in each other
          --> settings.yml:9:24
           |
         9 |   other: { repository: registry.example/prod, promote: by-hand, gate: {} }
           |                        ^^^^^^^^^^^^^^^^^^^^^ this is `prod`'s too
           = help: what lies in a repository says where it stands: give each its own
           = more: docs/language.md#repository-overlap
        ");
    }
}
