//! What is understood and has no effect yet is said, never ignored.

use crate::complaint::{Code, Complaints};
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for fault in &file.not_yet {
        let label = "without effect in this version";
        complaints
            .error(Code::NotYet, fault.span, fault.value, label)
            .help("take it out; a later version will accept it");
    }
}

#[cfg(test)]
mod tests {
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
}
