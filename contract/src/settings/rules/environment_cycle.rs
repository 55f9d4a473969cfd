//! Environments do not come after each other in a circle.

use crate::complaint::{Code, Complaints};
use crate::language::circles;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let environments = &file.environments;
    let position = |name: &str| {
        let mut environments = environments.iter();
        environments.position(|other| other.name.value.as_str() == name)
    };
    let after: Vec<Vec<usize>> = environments
        .iter()
        .map(|e| {
            e.after
                .iter()
                .filter_map(|name| position(&name.value))
                .collect()
        })
        .collect();
    for circle in circles(&after) {
        let names: Vec<&str> = circle
            .iter()
            .chain(circle.first())
            .map(|at| environments[*at].name.value.as_str())
            .collect();
        let message = format!("environments come after each other: {}", names.join(" → "));
        let span = environments[circle[0]].name.span;
        complaints
            .error(
                Code::EnvironmentCycle,
                span,
                message,
                "no release could ever enter",
            )
            .help("`→` reads `after`");
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn environments_form_no_circle() {
        insta::assert_snapshot!(complaints_about(&[], "  a: { after: [b], repository: registry.example/a, promote: automatic, gate: {} }\n  b: { after: [a], repository: registry.example/b, promote: by-hand, gate: {} }\n"), @r"
        error[environment-cycle]: environments come after each other: a → b → a
          --> settings.yml:7:3
           |
         7 |   a: { after: [b], repository: registry.example/a, promote: automatic, gate: {} }
           |   ^ no release could ever enter
           = help: `→` reads `after`
           = more: docs/language.md#environment-cycle
        ");
    }
}
