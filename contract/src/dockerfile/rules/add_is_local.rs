//! ADD takes files of the context only: a URL or a git address would be fetched by the engine, from
//! the engine's own network.

use crate::complaint::{Code, Complaints, quoted};
use crate::dockerfile::check::unresolved;
use crate::dockerfile::variables::Variables;
use crate::dockerfile::words::Instruction;

pub(in crate::dockerfile) fn add_is_local(
    it: &Instruction,
    environment: Option<&Variables>,
    complaints: &mut Complaints<'_>,
) {
    for source in it.sources() {
        let filled = environment.map(|environment| environment.fill(&source.value));
        match filled {
            Some(Ok(path)) if !is_remote(&path) => {}
            Some(Err(unknown)) => {
                unresolved(
                    &unknown,
                    &source,
                    "an ENV with a value in the same stage",
                    complaints,
                );
            }
            Some(Ok(_)) | None => {
                let message = format!("ADD would fetch {}", quoted(&source.value));
                complaints
                    .error(
                        Code::RemoteAdd,
                        source.span,
                        message,
                        "not a file of the context",
                    )
                    .help("keep the file in the repository, or put it into the base image");
            }
        }
    }
}

/// Anything that some version of the builder takes for an address.
fn is_remote(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    let path = lower.split('#').next().unwrap_or_default();
    lower.contains("://")
        || lower.starts_with("git@")
        || lower.starts_with("github.com/")
        || path.ends_with(".git")
        // `user@host:path`
        || lower.split_once(':').is_some_and(|(host, _)| host.contains('@'))
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn add_takes_files_of_the_context_only() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nADD http://127.0.0.1:8080/x /x\n"), @r"
        error[remote-add]: ADD would fetch `http://127.0.0.1:8080/x`
          --> Dockerfile:2:5
           |
         2 | ADD http://127.0.0.1:8080/x /x
           |     ^^^^^^^^^^^^^^^^^^^^^^^ not a file of the context
           = help: keep the file in the repository, or put it into the base image
           = more: docs/language.md#remote-add
        ");
        for source in [
            "HTTPS://evil.example/x",
            "git@evil.example:a.git",
            "github.com/a/b",
            "a.git#main",
            "ok.tar http://evil.example/x",
            "ht\\\ntp://evil.example/x",
        ] {
            let text = format!("FROM scratch\nADD {source} /x\n");
            assert!(complaints_about(&text).contains("remote-add"), "{text}");
        }
    }

    #[test]
    fn the_json_form_is_read_too_and_what_only_looks_like_it_is_refused() {
        let json = "FROM scratch\nADD [\"http://evil.example/x\", \"/x\"]\n";
        assert!(complaints_about(json).contains("remote-add"));
        let looks = "FROM scratch\nADD [\"http://evil.example/x\", \"/x\"] /x\n";
        assert_ne!(complaints_about(looks), "");
    }

    #[test]
    fn a_variable_does_not_hide_an_address() {
        for text in [
            "FROM scratch\nENV A=http://evil.example\nADD $A/x /x\n",
            "FROM scratch AS a\nENV A=http\nFROM a\nADD ${A}://evil.example /x\n",
            "FROM scratch\nENV A=http://evil.example\nENV B=$A\nADD ${B} /x\n",
        ] {
            assert!(complaints_about(text).contains("remote-add"), "{text}");
        }
        for text in [
            "FROM scratch\nADD $FROM_THE_BASE /x\n",
            "FROM scratch\nARG A=ok\nADD $A /x\n",
            "FROM scratch\nENV A='http'\nADD $A /x\n",
            "FROM scratch\nADD h\"ttp://evil.example\" /x\n",
            "FROM scratch\nADD http\\://evil.example /x\n",
            "FROM scratch\nADD ${A:-http://evil.example} /x\n",
        ] {
            assert!(
                complaints_about(text).contains("unresolved-variable"),
                "{text}"
            );
        }
        assert_eq!(
            complaints_about("FROM scratch\nENV V=1.2\nADD app-$V.tar /x\n"),
            ""
        );
    }
}
