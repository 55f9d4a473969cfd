//! No container runs as root.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::{File, Kind};

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            let Kind::Test { services, .. } = kind else {
                continue;
            };
            let users = services.iter().filter_map(|service| service.user.as_ref());
            for user in users.filter(|user| user.value == 0) {
                let message = "no container runs as root";
                complaints
                    .error(Code::RootUser, user.span, message, "this is root")
                    .help("use the uid that the image's program wants (999 for many databases)");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_service_is_not_root() {
        insta::assert_snapshot!(complaints_about("  web: { build: {} }\n  t:\n    test:\n      image: web\n      ready: { tcp: 1, within: 1s }\n      services:\n        db: { image: \"registry.example/base/db@<digest>\", user: 0, ready: { tcp: 2, within: 1s } }\n      probe: { image: \"registry.example/base/a@<digest>\", command: [x] }\n"), @r#"
        error[root-user]: no container runs as root
           --> .sallyport.yml:10:128
            |
         10 | …123456789abcdef", user: 0, ready: { tcp: 2, within: 1s } }
            |                          ^ this is root
            = help: use the uid that the image's program wants (999 for many databases)
            = more: docs/language.md#root-user
        "#);
    }
}
