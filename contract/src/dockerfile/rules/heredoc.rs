//! `<<EOF`: the builder in use (Docker 20.10) does not know heredocs and would read the lines below
//! as instructions; later builders do. Only what both read alike is accepted.

use crate::complaint::{Code, Complaints};
use crate::dockerfile::words::Instruction;

pub(in crate::dockerfile) fn heredoc(it: &Instruction, complaints: &mut Complaints<'_>) {
    for word in &it.words {
        let text = word.value.trim_start_matches(|c: char| c.is_ascii_digit());
        let named = text
            .strip_prefix("<<")
            .is_some_and(|name| !name.starts_with('<'));
        if named && text != "<<" {
            let message = "heredocs are not there yet";
            complaints
                .error(
                    Code::NotYet,
                    word.span,
                    message,
                    "the builder in use does not know them",
                )
                .help("continue the lines with backslashes, or COPY a script and run it");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn heredocs_are_not_there_yet() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nCOPY <<EOF /a\nEOF\n"), @r"
        error[not-yet]: heredocs are not there yet
          --> Dockerfile:2:6
           |
         2 | COPY <<EOF /a
           |      ^^^^^ the builder in use does not know them
           = help: continue the lines with backslashes, or COPY a script and run it
           = more: docs/language.md#not-yet

        error[bad-dockerfile]: `EOF` is not an instruction
          --> Dockerfile:3:1
           |
         3 | EOF
           | ^^^ no such instruction
           = more: docs/language.md#bad-dockerfile
        ");
        assert_eq!(
            complaints_about("FROM scratch\nRUN echo $((1 << 2)) a<<b <<<c\n"),
            ""
        );
    }
}
