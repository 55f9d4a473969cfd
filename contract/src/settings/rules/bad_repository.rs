//! Quarantine and environments name repositories: a registry and a path, no tag.

use crate::complaint::{Code, Complaints, quoted};
use crate::image::Repository;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let environments = file.environments.iter();
    let repositories = environments.filter_map(|environment| environment.repository.as_ref());
    for text in file.quarantine.iter().chain(repositories) {
        if let Err(error) = Repository::parse(&text.value) {
            let message = format!("{} is not a repository", quoted(&text.value));
            complaints
                .error(Code::BadRepository, text.span, message, error.to_string())
                .help("write `registry.example/prod/shop`; each image is put below it");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn a_place_for_images_is_a_repository() {
        insta::assert_snapshot!(complaints_about(&[("quarantine", "quarantine: \"registry.example/q:latest\"")], ""), @r#"
        error[bad-repository]: `registry.example/q:latest` is not a repository
          --> settings.yml:5:13
           |
         5 | quarantine: "registry.example/q:latest"
           |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^ not a repository: lower-case letters, digits and inner `.`, `_`, `-` between slashes
           = help: write `registry.example/prod/shop`; each image is put below it
           = more: docs/language.md#bad-repository
        "#);
    }
}
