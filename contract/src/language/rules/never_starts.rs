//! Something starts a pipeline.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let Some(on) = &file.on else {
        return;
    };
    if on.push.is_none() && on.pull_request.is_none() {
        complaints
            .error(
                Code::NeverStarts,
                on.key,
                "nothing starts this pipeline",
                "no event here",
            )
            .help("write `push: { branches: [main] }`");
    }
}

#[cfg(test)]
mod tests {
    use crate::language::{CheckContext, check_all};

    #[test]
    fn something_starts_a_pipeline() {
        let file = "version: 1\non: {}\nsteps: { a: { analyze: {} } }\n";
        let checked = check_all("p.yml", file.as_bytes(), &CheckContext::default());
        insta::assert_snapshot!(checked.rendered(), @r"
        error[never-starts]: nothing starts this pipeline
          --> p.yml:2:1
           |
         2 | on: {}
           | ^^ no event here
           = help: write `push: { branches: [main] }`
           = more: docs/language.md#never-starts
        ");
    }
}
