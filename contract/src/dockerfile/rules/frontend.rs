//! `# syntax=` makes the engine fetch and run a program that reads the file in its own way.

use crate::complaint::{Code, Complaints, Span};

pub(in crate::dockerfile) fn frontend_is_ours(complaints: &mut Complaints<'_>) {
    let source = complaints.source();
    let body = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut at = source.len() - body.len();
    for raw in body.split_inclusive('\n') {
        let line = raw.trim();
        let start = at + (raw.len() - raw.trim_start().len());
        let span = Span::new(start, start + line.len());
        at += raw.len();
        // Directives stand before everything else; the builders differ in what ends them, so every
        // comment before the first instruction is looked at.
        let Some(comment) = line.strip_prefix('#').or_else(|| line.strip_prefix("//")) else {
            if line.is_empty() {
                continue;
            }
            return;
        };
        let Some((key, value)) = comment.split_once('=') else {
            continue;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "syntax" => {
                let message = "the file names a frontend, a program that would read it";
                complaints
                    .error(
                        Code::ForeignFrontend,
                        span,
                        message,
                        "only the builder's own reads it",
                    )
                    .help("take the line out");
            }
            "escape" if value.trim() != "\\" => {
                let message = "another escape character than the backslash";
                complaints
                    .error(
                        Code::AmbiguousSyntax,
                        span,
                        message,
                        "builders differ in when it holds",
                    )
                    .help("take the line out and continue lines with a backslash");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn a_foreign_frontend_is_refused_wherever_a_builder_might_see_it() {
        insta::assert_snapshot!(complaints_about("# syntax=evil.example/frontend:1\nFROM scratch\n"), @r"
        error[foreign-frontend]: the file names a frontend, a program that would read it
          --> Dockerfile:1:1
           |
         1 | # syntax=evil.example/frontend:1
           | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ only the builder's own reads it
           = help: take the line out
           = more: docs/language.md#foreign-frontend
        ");
        for text in [
            "\u{feff}#syntax=x\nFROM scratch\n",
            "# escape=\\\n#  SYNTAX = x\nFROM scratch\n",
            "#!/bin/sh\n# syntax=x\nFROM scratch\n",
            "\n\n  # syntax=x\nFROM scratch\n",
            "// syntax=x\nFROM scratch\n",
        ] {
            assert!(
                complaints_about(text).contains("foreign-frontend"),
                "{text:?}"
            );
        }
        assert_eq!(complaints_about("FROM scratch\n# syntax=x\n"), "");
    }

    #[test]
    fn another_escape_character_is_refused() {
        insta::assert_snapshot!(complaints_about("# escape=`\nFROM scratch\n"), @r"
        error[ambiguous-syntax]: another escape character than the backslash
          --> Dockerfile:1:1
           |
         1 | # escape=`
           | ^^^^^^^^^^ builders differ in when it holds
           = help: take the line out and continue lines with a backslash
           = more: docs/language.md#ambiguous-syntax
        ");
    }
}
