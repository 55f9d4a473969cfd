//! `after` names environments of the same project.

use crate::complaint::{Code, Complaints, quoted};
use crate::settings::syntax::File;
use crate::yaml::nearest;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let known = || file.environments.iter().map(|e| e.name.value.as_str());
    for after in file.environments.iter().flat_map(|e| &e.after) {
        if known().any(|name| name == after.value) {
            continue;
        }
        let message = format!("there is no environment {}", quoted(&after.value));
        let label = nearest(&after.value, known()).map_or_else(
            || "no such environment".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        complaints.error(Code::UnknownEnvironment, after.span, message, label);
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn after_names_an_environment() {
        insta::assert_snapshot!(complaints_about(&[], "  staging: { repository: registry.example/s, promote: automatic, gate: {} }\n  prod: { after: [stagign], repository: registry.example/p, promote: by-hand, gate: {} }\n"), @r"
        error[unknown-environment]: there is no environment `stagign`
          --> settings.yml:8:19
           |
         8 |   prod: { after: [stagign], repository: registry.example/p, promote: by-hand, gate: {} }
           |                   ^^^^^^^ did you mean `staging`?
           = more: docs/language.md#unknown-environment
        ");
    }
}
