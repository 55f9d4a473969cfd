//! A container runs either a script or a command.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::{Container, File, Kind};

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            match kind {
                Kind::Run(container)
                | Kind::Test {
                    probe: Some(container),
                    ..
                } => container_runs(container, complaints),
                Kind::Test { probe: None, .. }
                | Kind::Build { .. }
                | Kind::Analyze { .. }
                | Kind::Scan { .. } => {}
            }
        }
    }
}

fn container_runs(container: &Container, complaints: &mut Complaints<'_>) {
    let (span, message, label) = match (&container.script, &container.command) {
        (Some(script), None) if !script.value.trim().is_empty() => return,
        (None, Some(command)) if command.value.first().is_some_and(|c| !c.is_empty()) => return,
        (Some(script), None) => (script.span, "the script is empty", "nothing to run"),
        (None, Some(command)) => (command.span, "the command is empty", "nothing to run"),
        (None, None) => (container.span, "nothing is run", "no script and no command"),
        (Some(_), Some(command)) => (command.span, "both a script and a command", "the second"),
    };
    complaints
        .error(Code::ScriptOrCommand, span, message, label)
        .help(
            "`script` is a text for `sh -eu`; `command` is a program with its arguments, no shell",
        );
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_container_runs_one_thing() {
        insta::assert_snapshot!(complaints_about("  a: { run: { image: \"registry.example/base/a@<digest>\" } }\n  b:\n    run:\n      image: registry.example/base/a@<digest>\n      script: echo\n      command: [echo]\n  c: { run: { image: \"registry.example/base/a@<digest>\", command: [] } }\n"), @r#"
        error[script-or-command]: nothing is run
          --> .sallyport.yml:4:13
           |
         4 |   a: { run: { image: "registry.example/base/a@sha256:0123456789abcdef0123456789abcdef012345…
           |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no script and no command
           = help: `script` is a text for `sh -eu`; `command` is a program with its arguments, no shell
           = more: docs/language.md#script-or-command

        error[script-or-command]: both a script and a command
          --> .sallyport.yml:9:16
           |
         9 |       command: [echo]
           |                ^^^^^^ the second
           = help: `script` is a text for `sh -eu`; `command` is a program with its arguments, no shell
           = more: docs/language.md#script-or-command

        error[script-or-command]: the command is empty
           --> .sallyport.yml:10:130
            |
         10 | …456789abcdef", command: [] } }
            |                          ^^ nothing to run
            = help: `script` is a text for `sh -eu`; `command` is a program with its arguments, no shell
            = more: docs/language.md#script-or-command
        "#);
    }
}
