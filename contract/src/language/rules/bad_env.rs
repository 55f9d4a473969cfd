//! An environment variable has a name that a shell can use and that is not ours.

use crate::complaint::{Code, Complaints, quoted};
use crate::language::syntax::{EnvEntry, File, Kind};

/// The longest name; names are for people.
const NAME_BYTES_MAX: usize = 100;
/// Names under this prefix say what run and step it is.
const OURS: &str = "SALLYPORT_";

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        check_entries(&step.env, complaints);
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            if let Kind::Test { services, env, .. } = kind {
                check_entries(env, complaints);
                for service in services {
                    check_entries(&service.env, complaints);
                }
            }
        }
    }
}

fn check_entries(entries: &[EnvEntry], complaints: &mut Complaints<'_>) {
    for EnvEntry { key, .. } in entries {
        let name = &key.value;
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let label = if !first || !rest || name.len() > NAME_BYTES_MAX {
            "letters, digits and `_`, no digit first"
        } else if name.starts_with(OURS) {
            "names beginning with SALLYPORT_ are set by Sallyport"
        } else {
            continue;
        };
        let message = format!("{} cannot be set", quoted(name));
        complaints.error(Code::BadEnv, key.span, message, label);
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_variable_has_a_usable_name() {
        insta::assert_snapshot!(complaints_about("  a:\n    run: { image: \"registry.example/base/a@<digest>\", command: [x] }\n    env: { \"A-B\": x, SALLYPORT_REF: y, GOOD: z }\n"), @r#"
        error[bad-env]: `A-B` cannot be set
          --> .sallyport.yml:6:12
           |
         6 |     env: { "A-B": x, SALLYPORT_REF: y, GOOD: z }
           |            ^^^^^ letters, digits and `_`, no digit first
           = more: docs/language.md#bad-env

        error[ambiguous-string]: `y` is not a text for every reader of YAML
          --> .sallyport.yml:6:37
           |
         6 |     env: { "A-B": x, SALLYPORT_REF: y, GOOD: z }
           |                                     ^ wanted as a text
           = help: put it in quotes: "y"
           = more: docs/language.md#ambiguous-string
        "#);
    }
}
