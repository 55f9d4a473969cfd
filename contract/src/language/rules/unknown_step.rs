//! A step that is needed exists.

use crate::complaint::{Code, Complaints, quoted};
use crate::language::syntax::File;
use crate::yaml::nearest;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let known = || file.steps.iter().map(|step| step.name.value.as_str());
    for step in &file.steps {
        for need in &step.needs {
            if known().any(|name| name == need.value) {
                continue;
            }
            let message = format!("there is no step {}", quoted(&need.value));
            let label = nearest(&need.value, known()).map_or_else(
                || "no such step".to_owned(),
                |n| format!("did you mean `{n}`?"),
            );
            complaints.error(Code::UnknownStep, need.span, message, label);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_needed_step_exists() {
        insta::assert_snapshot!(complaints_about("  web: { build: {} }\n  a: { analyze: {}, needs: [wbe, other] }\n"), @r"
        error[unknown-step]: there is no step `wbe`
          --> .sallyport.yml:5:29
           |
         5 |   a: { analyze: {}, needs: [wbe, other] }
           |                             ^^^ did you mean `web`?
           = more: docs/language.md#unknown-step

        error[unknown-step]: there is no step `other`
          --> .sallyport.yml:5:34
           |
         5 |   a: { analyze: {}, needs: [wbe, other] }
           |                                  ^^^^^ no such step
           = more: docs/language.md#unknown-step
        ");
    }
}
