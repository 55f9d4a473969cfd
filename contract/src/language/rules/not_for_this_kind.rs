//! What a step has beside its kind has an effect there: only `run` and `test` run something of the
//! project's own.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        let Some((kind, _)) = step.kinds.first() else {
            continue;
        };
        if step
            .kinds
            .iter()
            .any(|(kind, _)| matches!(kind.value, "run" | "test"))
        {
            continue;
        }
        let env = step.env.first().map(|entry| (entry.key.span, "env"));
        let junit = step.junit.first().map(|text| (text.span, "reports"));
        let artifacts = step.artifacts.first().map(|text| (text.span, "artifacts"));
        for (span, what) in [env, junit, artifacts].into_iter().flatten() {
            let message = format!("`{what}` has no effect on a `{}` step", kind.value);
            let label = "only `run` and `test` steps have this";
            complaints.error(Code::NotForThisKind, span, message, label);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn what_has_no_effect_on_a_kind_is_said() {
        insta::assert_snapshot!(complaints_about("  a: { analyze: {}, env: { A: b }, artifacts: [\"x/*\"], reports: { junit: [\"*.xml\"] } }\n"), @r#"
        error[not-for-this-kind]: `env` has no effect on a `analyze` step
          --> .sallyport.yml:4:28
           |
         4 |   a: { analyze: {}, env: { A: b }, artifacts: ["x/*"], reports: { junit: ["*.xml"] } }
           |                            ^ only `run` and `test` steps have this
           = more: docs/language.md#not-for-this-kind

        error[not-for-this-kind]: `artifacts` has no effect on a `analyze` step
          --> .sallyport.yml:4:48
           |
         4 |   a: { analyze: {}, env: { A: b }, artifacts: ["x/*"], reports: { junit: ["*.xml"] } }
           |                                                ^^^^^ only `run` and `test` steps have this
           = more: docs/language.md#not-for-this-kind

        error[not-for-this-kind]: `reports` has no effect on a `analyze` step
          --> .sallyport.yml:4:75
           |
         4 |   a: { analyze: {}, env: { A: b }, artifacts: ["x/*"], reports: { junit: ["*.xml"] } }
           |                                                                           ^^^^^^^ only `run` and `test` steps have this
           = more: docs/language.md#not-for-this-kind
        "#);
    }
}
