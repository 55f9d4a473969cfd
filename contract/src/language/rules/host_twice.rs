//! Every container of a pod has a name of its own.

use crate::complaint::{Code, Complaints};
use crate::language::rules::bad_ready::under_test;
use crate::language::syntax::{File, Kind};

/// Names that a pod has already.
const TAKEN: &[&str] = &["localhost", "probe"];

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            let Kind::Test {
                image, services, ..
            } = kind
            else {
                continue;
            };
            let host = under_test(&image.value, step.name.value.as_str());
            for service in services {
                let name = service.name.value.as_str();
                if name == host || TAKEN.contains(&name) {
                    let message = format!("the name `{name}` is taken in this pod");
                    complaints.error(
                        Code::HostTwice,
                        service.name.span,
                        message,
                        "choose another",
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_service_is_not_named_like_the_image_under_test() {
        insta::assert_snapshot!(complaints_about("  web: { build: {} }\n  t:\n    test:\n      image: web\n      ready: { tcp: 1, within: 1s }\n      services:\n        web: { image: \"registry.example/base/db@<digest>\", ready: { tcp: 2, within: 1s } }\n      probe: { image: \"registry.example/base/a@<digest>\", command: [x] }\n"), @r#"
        error[host-twice]: the name `web` is taken in this pod
           --> .sallyport.yml:10:9
            |
         10 |         web: { image: "registry.example/base/db@sha256:0123456789abcdef0123456789abcdef0123…
            |         ^^^ choose another
            = more: docs/language.md#host-twice
        "#);
    }
}
