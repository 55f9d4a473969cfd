//! Instructions and flags that the builder in use knows. What it does not know it would refuse, or,
//! in a later version, do something that nobody looked at.

use crate::complaint::{Code, Complaints, quoted};
use crate::dockerfile::words::Flag;

/// All instructions.
pub(in crate::dockerfile) const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

pub(in crate::dockerfile) fn flag_is_known(
    instruction: &str,
    flag: &Flag,
    complaints: &mut Complaints<'_>,
) {
    let known: &[&str] = match instruction {
        "FROM" => &["platform"],
        "ADD" => &["chown", "chmod"],
        "COPY" => &["from", "chown", "chmod"],
        "RUN" => &["mount", "network", "security"],
        "HEALTHCHECK" => &["interval", "timeout", "start-period", "retries"],
        _ => &[],
    };
    if known.contains(&flag.key.as_str()) {
        return;
    }
    let message = format!(
        "{instruction} has no flag {}",
        quoted(&format!("--{}", flag.key))
    );
    let label = "not known to the builder";
    let complaint = complaints.error(Code::BadDockerfile, flag.span, message, label);
    if !known.is_empty() {
        complaint.help(format!("known here: --{}", known.join(", --")));
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn a_flag_is_known_to_the_builder() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nADD --keep-git-dir=true a /a\nCOPY --chown=1:1 a /a\nCOYP a /a\n"), @r"
        error[bad-dockerfile]: ADD has no flag `--keep-git-dir`
          --> Dockerfile:2:5
           |
         2 | ADD --keep-git-dir=true a /a
           |     ^^^^^^^^^^^^^^^^^^^ not known to the builder
           = help: known here: --chown, --chmod
           = more: docs/language.md#bad-dockerfile

        error[bad-dockerfile]: `COYP` is not an instruction
          --> Dockerfile:4:1
           |
         4 | COYP a /a
           | ^^^^ did you mean COPY?
           = more: docs/language.md#bad-dockerfile
        ");
    }
}
