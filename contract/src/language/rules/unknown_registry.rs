//! An outside image comes from a registry that the project knows.

use crate::complaint::{Code, Complaints};
use crate::image::ImageRef;
use crate::language::syntax::File;
use crate::language::{CheckContext, registry_matches};

pub(super) fn check(file: &File, context: &CheckContext, complaints: &mut Complaints<'_>) {
    let Some(known) = &context.known_registries else {
        return;
    };
    for place in file.images() {
        let Ok(image) = ImageRef::parse(&place.image.value) else {
            continue;
        };
        if registry_matches(known, &image.repository) {
            continue;
        }
        let (label, help) = words(&image, known);
        let message = "the image does not come from a known registry";
        complaints
            .error(Code::UnknownRegistry, place.image.span, message, label)
            .help(help);
    }
}

/// What is said of an image that no pattern allows: label and help.
pub(crate) fn words(image: &ImageRef, known: &[String]) -> (String, String) {
    let registry = image.repository.registry();
    let label = if known
        .iter()
        .any(|known| known.split('/').next() == Some(registry))
    {
        format!("{} is not in known-registries", image.repository)
    } else {
        format!("{registry} is not in known-registries")
    };
    let allowed: Vec<&str> = known.iter().take(5).map(String::as_str).collect();
    let help = if allowed.is_empty() {
        "this project allows no outside image; ask for an entry in its settings".to_owned()
    } else {
        let allowed = allowed.join(", ");
        format!("this project allows {allowed}; ask for an entry in its settings")
    };
    (label, help)
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn an_outside_image_comes_from_a_known_registry() {
        insta::assert_snapshot!(complaints_about("  a: { run: { image: \"docker.io/library/python@<digest>\", command: [x] } }\n  b: { run: { image: \"registry.example/other/a@<digest>\", command: [x] } }\n"), @r#"
        error[unknown-registry]: the image does not come from a known registry
          --> .sallyport.yml:4:22
           |
         4 |   a: { run: { image: "docker.io/library/python@sha256:0123456789abcdef0123456789abcdef01234…
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ docker.io is not in known-registries
           = help: this project allows registry.example/base/*; ask for an entry in its settings
           = more: docs/language.md#unknown-registry

        error[unknown-registry]: the image does not come from a known registry
          --> .sallyport.yml:5:22
           |
         5 |   b: { run: { image: "registry.example/other/a@sha256:0123456789abcdef0123456789abcdef01234…
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ registry.example/other/a is not in known-registries
           = help: this project allows registry.example/base/*; ask for an entry in its settings
           = more: docs/language.md#unknown-registry
        "#);
    }
}
