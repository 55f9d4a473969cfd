//! Containers of one pod share its ports: none is used twice.

use crate::complaint::{Code, Complaints, Span};
use crate::language::rules::bad_ready::{port_of, under_test};
use crate::language::syntax::{File, Kind, Ready};

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
            let Kind::Test {
                image,
                ready,
                services,
                ..
            } = kind
            else {
                continue;
            };
            let host = under_test(&image.value, step.name.value.as_str());
            let own = ready.as_ref().map(|ready| (host, ready));
            let others = services.iter().filter_map(|service| {
                let ready = service.ready.as_ref()?;
                Some((service.name.value.as_str(), ready))
            });
            pod(own.into_iter().chain(others), complaints);
        }
    }
}

fn pod<'f>(members: impl Iterator<Item = (&'f str, &'f Ready)>, complaints: &mut Complaints<'_>) {
    let mut used: Vec<(u16, &str)> = Vec::new();
    for (host, ready) in members {
        let Some((port, span)) = port(ready) else {
            continue;
        };
        match used.iter().find(|(other, _)| *other == port) {
            None => used.push((port, host)),
            Some((_, other)) => {
                let message = format!("`{host}` and `{other}` both listen on port {port}");
                complaints
                    .error(Code::PortTwice, span, message, "already used in this pod")
                    .help("the containers of a test share one loopback; give one another port");
            }
        }
    }
}

fn port(ready: &Ready) -> Option<(u16, Span)> {
    match (&ready.http, &ready.tcp) {
        (Some(url), _) => Some((port_of(&url.value, None).ok()?, url.span)),
        (None, Some(tcp)) => Some((u16::try_from(tcp.value).ok()?, tcp.span)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_port_is_used_once_in_a_pod() {
        insta::assert_snapshot!(complaints_about("  web: { build: {} }\n  t:\n    test:\n      image: web\n      ready: { http: \"http://web:8080/\", within: 1s }\n      services:\n        db:\n          image: registry.example/base/db@<digest>\n          ready: { tcp: 8080, within: 1s }\n      probe: { image: \"registry.example/base/a@<digest>\", command: [x] }\n"), @r"
        error[port-twice]: `db` and `web` both listen on port 8080
           --> .sallyport.yml:12:25
            |
         12 |           ready: { tcp: 8080, within: 1s }
            |                         ^^^^ already used in this pod
            = help: the containers of a test share one loopback; give one another port
            = more: docs/language.md#port-twice
        ");
    }
}
