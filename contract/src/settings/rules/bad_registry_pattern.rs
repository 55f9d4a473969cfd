//! A known registry is named with its registry; only its path has wildcards.

use crate::complaint::{Code, Complaints, quoted};
use crate::language::RegistryPattern;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for text in &file.known_registries {
        if let Err(error) = RegistryPattern::parse(&text.value) {
            let message = format!(
                "{} is not a pattern of known registries",
                quoted(&text.value)
            );
            complaints
                .error(Code::BadPattern, text.span, message, error.to_string())
                .help("write `registry.example/base/*`; `**` stands for several folders");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn a_known_registry_names_its_registry() {
        insta::assert_snapshot!(complaints_about(&[("known-registries", "known-registries: [\"*/base\", python]")], ""), @r#"
        error[bad-pattern]: `*/base` is not a pattern of known registries
          --> settings.yml:4:20
           |
         4 | known-registries: ["*/base", python]
           |                    ^^^^^^^^ the registry's own name has no wildcard
           = help: write `registry.example/base/*`; `**` stands for several folders
           = more: docs/language.md#bad-pattern

        error[bad-pattern]: `python` is not a pattern of known registries
          --> settings.yml:4:30
           |
         4 | known-registries: ["*/base", python]
           |                              ^^^^^^ the registry and what may be used of it, `registry.example/base/*`
           = help: write `registry.example/base/*`; `**` stands for several folders
           = more: docs/language.md#bad-pattern
        "#);
    }
}
