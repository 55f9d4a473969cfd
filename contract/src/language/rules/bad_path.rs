//! Paths stay where they belong: in the source, or in a service's own folders.

use crate::complaint::{Code, Complaints, Spanned, quoted};
use crate::language::syntax::{File, Kind};

/// Folders that a service cannot have for itself: the system's, and the pod's own.
const NOT_WRITABLE: &[&str] = &[
    "proc", "sys", "dev", "work", "tmp", "etc", "bin", "lib", "usr",
];

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for pattern in step.junit.iter().chain(&step.artifacts) {
            if pattern.value.split('/').any(|part| part == "..") {
                refuse(pattern, "`..` leads out of the source", complaints);
            }
        }
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            match kind {
                Kind::Build {
                    dockerfile,
                    context,
                } => {
                    let context = context.iter().filter(|path| path.value != ".");
                    for path in dockerfile.iter().chain(context) {
                        in_source(path, complaints);
                    }
                }
                Kind::Test { services, .. } => {
                    for path in services.iter().flat_map(|service| &service.writable) {
                        in_service(path, complaints);
                    }
                }
                Kind::Analyze { .. } | Kind::Scan { .. } | Kind::Run(_) => {}
            }
        }
    }
}

fn refuse(path: &Spanned<String>, label: &str, complaints: &mut Complaints<'_>) {
    let message = format!("the path {} cannot be used", quoted(&path.value));
    complaints.error(Code::BadPath, path.span, message, label);
}

/// A relative path in its shortest form.
pub(crate) fn path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("a path in the source does not begin with `/`")
    } else if path.split('/').any(|part| part == "..") {
        Some("`..` leads out of the source")
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        Some("write the path in its shortest form")
    } else if path.chars().any(char::is_control) || path.contains('\\') {
        Some("a character that no path here has")
    } else {
        None
    }
}

fn in_source(path: &Spanned<String>, complaints: &mut Complaints<'_>) {
    if let Some(fault) = path_fault(&path.value) {
        refuse(path, fault, complaints);
    }
}

fn in_service(path: &Spanned<String>, complaints: &mut Complaints<'_>) {
    let Some(below_root) = path.value.strip_prefix('/') else {
        return refuse(
            path,
            "a folder of the container begins with `/`",
            complaints,
        );
    };
    let first = below_root.split('/').next().unwrap_or_default();
    if let Some(fault) = path_fault(below_root) {
        refuse(path, fault, complaints);
    } else if path.value.contains([':', ',']) {
        refuse(path, "a character that no path here has", complaints);
    } else if NOT_WRITABLE.contains(&first) {
        refuse(
            path,
            "this folder is the system's or the pod's own",
            complaints,
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn paths_stay_where_they_belong() {
        insta::assert_snapshot!(complaints_about("  web: { build: { dockerfile: ../Dockerfile, context: /etc } }\n  t:\n    test:\n      image: web\n      ready: { tcp: 1, within: 1s }\n      services:\n        db: { image: \"registry.example/base/db@<digest>\", writable: [/proc/x, data], ready: { tcp: 2, within: 1s } }\n      probe: { image: \"registry.example/base/a@<digest>\", command: [x] }\n    artifacts: [\"../**\"]\n"), @r#"
        error[bad-path]: the path `../Dockerfile` cannot be used
          --> .sallyport.yml:4:31
           |
         4 |   web: { build: { dockerfile: ../Dockerfile, context: /etc } }
           |                               ^^^^^^^^^^^^^ `..` leads out of the source
           = more: docs/language.md#bad-path

        error[bad-path]: the path `/etc` cannot be used
          --> .sallyport.yml:4:55
           |
         4 |   web: { build: { dockerfile: ../Dockerfile, context: /etc } }
           |                                                       ^^^^ a path in the source does not begin with `/`
           = more: docs/language.md#bad-path

        error[bad-path]: the path `/proc/x` cannot be used
           --> .sallyport.yml:10:133
            |
         10 | …6789abcdef", writable: [/proc/x, data], ready: { tcp: 2, within: 1s } }
            |                          ^^^^^^^ this folder is the system's or the pod's own
            = more: docs/language.md#bad-path

        error[bad-path]: the path `data` cannot be used
           --> .sallyport.yml:10:142
            |
         10 | …f", writable: [/proc/x, data], ready: { tcp: 2, within: 1s } }
            |                          ^^^^ a folder of the container begins with `/`
            = more: docs/language.md#bad-path

        error[bad-path]: the path `../**` cannot be used
           --> .sallyport.yml:12:17
            |
         12 |     artifacts: ["../**"]
            |                 ^^^^^^^ `..` leads out of the source
            = more: docs/language.md#bad-path
        "#);
    }
}
