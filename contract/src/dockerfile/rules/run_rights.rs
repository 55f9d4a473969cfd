//! A RUN has no more rights than the build: no host network, no insecure mode.

use crate::complaint::{Code, Complaints, quoted};
use crate::dockerfile::words::Instruction;

pub(in crate::dockerfile) fn run_rights(it: &Instruction, complaints: &mut Complaints<'_>) {
    for flag in &it.flags {
        let allowed: &[&str] = match flag.key.as_str() {
            "network" => &["none", "default"],
            "security" => &["sandbox"],
            _ => continue,
        };
        if !allowed.contains(&flag.value.as_str()) {
            let word = quoted(&format!("--{}={}", flag.key, flag.value));
            let message = format!("{word} wants more than a build has");
            complaints
                .error(Code::BuildRights, flag.span, message, "not accepted")
                .help("a build has no network and no rights on the host");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn a_run_has_no_more_rights_than_the_build() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nRUN --network=host --security=insecure true\nRUN --network=none true\n"), @r"
        error[build-rights]: `--network=host` wants more than a build has
          --> Dockerfile:2:5
           |
         2 | RUN --network=host --security=insecure true
           |     ^^^^^^^^^^^^^^ not accepted
           = help: a build has no network and no rights on the host
           = more: docs/language.md#build-rights

        error[build-rights]: `--security=insecure` wants more than a build has
          --> Dockerfile:2:20
           |
         2 | RUN --network=host --security=insecure true
           |                    ^^^^^^^^^^^^^^^^^^^ not accepted
           = help: a build has no network and no rights on the host
           = more: docs/language.md#build-rights
        ");
    }
}
