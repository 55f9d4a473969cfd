//! Readiness is one question that can be asked inside the pod.

use crate::complaint::{Code, Complaints, Spanned, quoted};
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
            if let Some(ready) = ready {
                asked(ready, host, complaints);
            }
            for service in services {
                if let Some(ready) = &service.ready {
                    asked(ready, service.name.value.as_str(), complaints);
                }
            }
        }
    }
}

/// The host name of the image under test: its own, or the step's when it comes from outside.
pub(super) fn under_test<'n>(image: &'n str, step: &'n str) -> &'n str {
    crate::name::Name::parse(image).map_or(step, |_| image)
}

fn asked(ready: &Ready, host: &str, complaints: &mut Complaints<'_>) {
    match (&ready.http, &ready.tcp) {
        (Some(url), None) => {
            if let Err(fault) = port_of(&url.value, Some(host)) {
                wrong_url(url, host, &fault, complaints);
            }
        }
        (None, Some(_)) => {}
        (None, None) => {
            let message = "`ready` asks nothing";
            complaints
                .error(Code::BadReady, ready.span, message, "no http and no tcp")
                .help(format!(
                    "http: \"http://{host}:8080/healthz\", or tcp: 8080"
                ));
        }
        (Some(_), Some(tcp)) => {
            let message = "`ready` asks two questions";
            complaints.error(Code::BadReady, tcp.span, message, "http or tcp, not both");
        }
    }
}

fn wrong_url(url: &Spanned<String>, host: &str, fault: &str, complaints: &mut Complaints<'_>) {
    let message = format!("{} cannot be asked", quoted(&url.value));
    complaints
        .error(Code::BadReady, url.span, message, fault)
        .help(format!("write `http://{host}:<port>/<path>`"));
}

/// The port of `http://<host>:<port>[/<path>]`, or what is wrong with the text.
pub(super) fn port_of(url: &str, host: Option<&str>) -> Result<u16, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("only http:// is asked, inside the pod")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (named, port) = authority.split_once(':').ok_or("no port")?;
    if host.is_some_and(|host| named != host && named != "localhost" && named != "127.0.0.1") {
        return Err("another host than the container's own".to_owned());
    }
    let printable = |b: u8| b.is_ascii_graphic() && b != b'#';
    if !path.bytes().all(printable) {
        return Err("a character that no path has".to_owned());
    }
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        Ok(_) | Err(_) => Err("no port".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn readiness_is_asked_inside_the_pod() {
        let test = |ready: &str| {
            let probe = "probe: { image: \"registry.example/base/a@<digest>\", command: [x] }";
            complaints_about(&format!(
                "  web: {{ build: {{}} }}\n  t:\n    test:\n      image: web\n      {probe}\n      ready: {ready}\n"
            ))
        };
        assert_eq!(test("{ http: \"http://web:80/a\", within: 1s }"), "");
        insta::assert_snapshot!(test("{ http: \"http://example.org:80/\", within: 1s }"), @r#"
        error[bad-ready]: `http://example.org:80/` cannot be asked
          --> .sallyport.yml:9:22
           |
         9 |       ready: { http: "http://example.org:80/", within: 1s }
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^ another host than the container's own
           = help: write `http://web:<port>/<path>`
           = more: docs/language.md#bad-ready
        "#);
        insta::assert_snapshot!(test("{ http: \"https://web/\", within: 1s }"), @r#"
        error[bad-ready]: `https://web/` cannot be asked
          --> .sallyport.yml:9:22
           |
         9 |       ready: { http: "https://web/", within: 1s }
           |                      ^^^^^^^^^^^^^^ only http:// is asked, inside the pod
           = help: write `http://web:<port>/<path>`
           = more: docs/language.md#bad-ready
        "#);
        insta::assert_snapshot!(test("{ within: 1s }"), @r#"
        error[bad-ready]: `ready` asks nothing
          --> .sallyport.yml:9:14
           |
         9 |       ready: { within: 1s }
           |              ^^^^^^^^^^^^^^ no http and no tcp
           = help: http: "http://web:8080/healthz", or tcp: 8080
           = more: docs/language.md#bad-ready
        "#);
    }
}
