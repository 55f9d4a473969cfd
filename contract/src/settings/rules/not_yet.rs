//! What is understood and has no effect yet is said, never ignored.

use crate::complaint::{Code, Complaints};
use crate::settings::model::Outsiders;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for fault in &file.not_yet {
        let label = "without effect in this version";
        complaints
            .error(Code::NotYet, fault.span, fault.value, label)
            .help("take it out; a later version will accept it");
    }
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
