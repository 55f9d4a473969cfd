//! A step is exactly one of `build`, `analyze`, `scan`, `test` and `run`.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let help = "a step has exactly one of build, analyze, scan, test, run";
    for step in &file.steps {
        let name = &step.name.value;
        if step.kinds.is_empty() {
            let message = format!("the step `{name}` does nothing");
            complaints
                .error(Code::StepKind, step.name.span, message, "which kind is it?")
                .help(help);
        }
        for (kind, _) in step.kinds.iter().skip(1) {
            let first = step.kinds[0].0.value;
            let message = format!("the step `{name}` is both `{first}` and `{}`", kind.value);
            complaints
                .error(Code::StepKind, kind.span, message, "a second kind")
                .help(format!("{help}: make two steps of it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_step_has_exactly_one_kind() {
        insta::assert_snapshot!(complaints_about("  a: { timeout: 1m }\n  b: { build: {}, scan: { image: b } }\n"), @r"
        error[step-kind]: the step `a` does nothing
          --> .sallyport.yml:4:3
           |
         4 |   a: { timeout: 1m }
           |   ^ which kind is it?
           = help: a step has exactly one of build, analyze, scan, test, run
           = more: docs/language.md#step-kind

        error[needs-cycle]: steps need each other in a circle: b → b
          --> .sallyport.yml:5:3
           |
         5 |   b: { build: {}, scan: { image: b } }
           |   ^ none of them could ever start
           = help: `→` reads `needs`; naming a step's image is a need too
           = more: docs/language.md#needs-cycle

        error[step-kind]: the step `b` is both `build` and `scan`
          --> .sallyport.yml:5:19
           |
         5 |   b: { build: {}, scan: { image: b } }
           |                   ^^^^ a second kind
           = help: a step has exactly one of build, analyze, scan, test, run: make two steps of it
           = more: docs/language.md#step-kind
        ");
    }
}
