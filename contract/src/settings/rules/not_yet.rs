//! What is understood and has no effect yet is said, never ignored.

use crate::complaint::{Code, Complaints};
use crate::image::Repository;
use crate::language::RegistryPattern;
use crate::settings::model::Outsiders;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for fault in &file.not_yet {
        let label = "without effect in this version";
        complaints
            .error(Code::NotYet, fault.span, fault.value, label)
            .help("take it out; a later version will accept it");
    }
    second_registry(file, complaints);
    // Stored settings may say it, and what holds in its place is the stricter one: no error.
    if let Some(outsiders) = &file.outsiders
        && outsiders.value != Outsiders::Never
    {
        let message = "pull requests of outsiders start nothing yet";
        complaints.warn(
            Code::NotYet,
            outsiders.span,
            message,
            "`never` is what holds",
        );
    }
}

/// A server gives rights in one registry; what a worker needs of another it would never get.
fn second_registry(file: &File, complaints: &mut Complaints<'_>) {
    let quarantine = file.quarantine.as_ref();
    let Some(Ok(home)) = quarantine.map(|text| Repository::parse(&text.value)) else {
        return;
    };
    let known = file.known_registries.iter();
    let known = known.filter(|text| RegistryPattern::parse(&text.value).is_ok());
    let environments = file.environments.iter();
    let repositories = environments.filter_map(|environment| environment.repository.as_ref());
    let repositories = repositories.filter(|text| Repository::parse(&text.value).is_ok());
    let home = home.registry();
    for text in known.chain(repositories) {
        if text.value.split('/').next() != Some(home) {
            let message = "a second registry is not there yet";
            complaints
                .error(
                    Code::NotYet,
                    text.span,
                    message,
                    format!("quarantine is in {home}"),
                )
                .help(format!("copy what is needed to {home}, and name it there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::check_all;
    use crate::settings::rules::complaints_about;

    #[test]
    fn a_freeze_is_said_to_have_no_effect() {
        insta::assert_snapshot!(complaints_about(&[], "  a:\n    repository: registry.example/a\n    promote: automatic\n    gate: {}\n    freeze: { from: friday }\n"), @r"
        error[not-yet]: freeze windows are not there yet
           --> settings.yml:11:5
            |
         11 |     freeze: { from: friday }
            |     ^^^^^^ without effect in this version
            = help: take it out; a later version will accept it
            = more: docs/language.md#not-yet
        ");
    }

    #[test]
    fn everything_lies_in_quarantines_registry() {
        let known = r#"known-registries: ["registry.example/base/*", "docker.io/library/*"]"#;
        let dev = "  dev: { repository: other.example/dev, promote: automatic, gate: {} }\n";
        insta::assert_snapshot!(complaints_about(&[("known-registries", known)], dev), @r#"
        error[not-yet]: a second registry is not there yet
          --> settings.yml:4:47
           |
         4 | known-registries: ["registry.example/base/*", "docker.io/library/*"]
           |                                               ^^^^^^^^^^^^^^^^^^^^^ quarantine is in registry.example
           = help: copy what is needed to registry.example, and name it there
           = more: docs/language.md#not-yet

        error[not-yet]: a second registry is not there yet
          --> settings.yml:7:22
           |
         7 |   dev: { repository: other.example/dev, promote: automatic, gate: {} }
           |                      ^^^^^^^^^^^^^^^^^ quarantine is in registry.example
           = help: copy what is needed to registry.example, and name it there
           = more: docs/language.md#not-yet
        "#);
    }

    #[test]
    fn outsiders_start_nothing_whatever_is_said() {
        let text = "version: 1\nproject: shop\nsource: { git: /srv/a.git }\ntrust: { outsiders: hold }\nquarantine: registry.example/q\n";
        let checked = check_all("settings.yml", text.as_bytes());
        assert!(checked.value.is_some(), "a warning hinders nothing");
        insta::assert_snapshot!(checked.rendered(), @r"
        warning[not-yet]: pull requests of outsiders start nothing yet
          --> settings.yml:4:21
           |
         4 | trust: { outsiders: hold }
           |                     ^^^^ `never` is what holds
           = more: docs/language.md#not-yet
        ");
        let never = text.replace("hold", "never");
        assert_eq!(check_all("settings.yml", never.as_bytes()).rendered(), "");
    }
}
