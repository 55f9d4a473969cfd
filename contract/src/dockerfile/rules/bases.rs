//! Every image that a Dockerfile names is an earlier stage, `scratch`, or comes from a known
//! registry and is pinned by its digest.

use crate::complaint::{Code, Complaints, Spanned, quoted};
use crate::dockerfile::check::Reader;
use crate::dockerfile::state::Base;
use crate::dockerfile::words::Flag;
use crate::image::{ImageRef, Repository, without_tag};
use crate::language::registry_matches;

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dockerfile) enum Place {
    /// `FROM`: `scratch` is nothing.
    From,
    /// `COPY --from`: a stage may be named by its number.
    Copy,
    /// `RUN --mount=from`: to the builder a number is an image here.
    Mount,
}

/// What a name stands for.
pub(in crate::dockerfile) fn resolve(
    reader: &mut Reader<'_>,
    name: &Spanned<String>,
    place: Place,
    complaints: &mut Complaints<'_>,
) -> Base {
    let text = name.value.as_str();
    if let Some(at) = stage(reader, text, place) {
        return Base::Stage(at);
    }
    if text == "scratch" && place == Place::From {
        return Base::Scratch;
    }
    match outside(reader, name, complaints) {
        Some(image) => {
            if !reader.images.iter().any(|named| named.value == image) {
                reader.images.push(Spanned::new(image.clone(), name.span));
            }
            Base::Image(image)
        }
        None => Base::Refused,
    }
}

/// The position of an earlier stage. A stage does not see itself: while it is read it is not in the
/// list for FROM, and it is the last one for COPY and RUN.
fn stage(reader: &Reader<'_>, text: &str, place: Place) -> Option<usize> {
    let itself = usize::from(place != Place::From);
    let earlier = reader.stages.len().saturating_sub(itself);
    let stages = &reader.stages[..earlier];
    let lower = text.to_ascii_lowercase();
    let named = stages
        .iter()
        .position(|stage| stage.name.as_deref() == Some(&lower));
    let digits =
        place == Place::Copy && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = || {
        text.parse()
            .ok()
            .filter(|at: &usize| digits && *at < earlier)
    };
    named.or_else(numbered)
}

fn outside(
    reader: &Reader<'_>,
    name: &Spanned<String>,
    complaints: &mut Complaints<'_>,
) -> Option<ImageRef> {
    let text = name.value.as_str();
    let before_digest = text.split_once('@').map_or(text, |(before, _)| before);
    let repository = match Repository::parse(without_tag(before_digest)) {
        Ok(repository) => repository,
        Err(error) => {
            let message = format!("{} is no earlier stage and no image", quoted(text));
            complaints
                .error(
                    Code::UnknownBaseRegistry,
                    name.span,
                    message,
                    error.to_string(),
                )
                .help(help(reader.known, before_digest));
            return None;
        }
    };
    if !registry_matches(reader.known, &repository) {
        let registry = repository.registry();
        let same = |known: &String| known.split('/').next() == Some(registry);
        let label = if reader.known.iter().any(same) {
            format!("{repository} is not in known-registries")
        } else {
            format!("{registry} is not in known-registries")
        };
        let message = "the base image does not come from a known registry";
        complaints
            .error(Code::UnknownBaseRegistry, name.span, message, label)
            .help(help(reader.known, before_digest));
        return None;
    }
    match ImageRef::parse(text) {
        Ok(image) => Some(image),
        Err(error) => {
            let message = "the base image is not pinned by its digest";
            complaints
                .error(Code::BaseNotPinned, name.span, message, error.to_string())
                .help(format!("write `{repository}@sha256:…`"));
            None
        }
    }
}

/// What the project allows, and what the image would be called there.
fn help(known: &[String], name: &str) -> String {
    if known.is_empty() {
        return "this project allows no outside image; ask for an entry in its settings".to_owned();
    }
    let allowed: Vec<&str> = known.iter().take(5).map(String::as_str).collect();
    let allowed = allowed.join(", ");
    let last = without_tag(name).rsplit('/').next().unwrap_or_default();
    let there = known
        .iter()
        .filter_map(|known| known.strip_suffix("/*"))
        .filter_map(|prefix| Repository::parse(&format!("{prefix}/{last}")).ok())
        .next();
    match there {
        Some(there) => format!(
            "this project allows {allowed}; ask for an entry in its settings, or use {there}@sha256:…"
        ),
        None => format!("this project allows {allowed}; ask for an entry in its settings"),
    }
}

/// `--mount=type=…,from=…`: where it is from, and what kinds there are.
pub(in crate::dockerfile) fn mount(
    reader: &mut Reader<'_>,
    flag: &Flag,
    complaints: &mut Complaints<'_>,
) {
    for part in flag.value.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match (key.trim().to_ascii_lowercase().as_str(), value) {
            ("type", "bind" | "tmpfs") => {}
            ("type", kind @ ("cache" | "secret" | "ssh")) => {
                let message = format!("mounts of type `{kind}` are not there yet");
                let label = "without effect in this version";
                complaints.error(Code::NotYet, flag.span, message, label);
            }
            ("type", kind) => {
                let message = format!("there is no mount of type {}", quoted(kind));
                complaints.error(Code::BadDockerfile, flag.span, message, "bind or tmpfs");
            }
            ("from", from) => {
                let from = Spanned::new(from.to_owned(), flag.span);
                resolve(reader, &from, Place::Mount, complaints);
            }
            (_, value) if value.contains('$') => {
                let message = "variables in a mount are not filled in by every builder";
                complaints.error(Code::AmbiguousSyntax, flag.span, message, "write the value");
            }
            (_, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rules::complaints_about;

    #[test]
    fn a_base_image_comes_from_a_known_registry() {
        insta::assert_snapshot!(complaints_about("FROM docker.io/library/python:3.12\n"), @r"
        error[unknown-base-registry]: the base image does not come from a known registry
          --> Dockerfile:1:6
           |
         1 | FROM docker.io/library/python:3.12
           |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ docker.io is not in known-registries
           = help: this project allows registry.example/base/*; ask for an entry in its settings, or use registry.example/base/python@sha256:…
           = more: docs/language.md#unknown-base-registry
        ");
    }

    #[test]
    fn a_base_image_is_pinned() {
        insta::assert_snapshot!(complaints_about("ARG TAG=3.12\nFROM registry.example/base/python:${TAG} AS one\nFROM one\n"), @r"
        error[base-not-pinned]: the base image is not pinned by its digest
          --> Dockerfile:2:6
           |
         2 | FROM registry.example/base/python:${TAG} AS one
           |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the image is not pinned: write `…@sha256:<64 hexadecimal digits>`
           = help: write `registry.example/base/python@sha256:…`
           = more: docs/language.md#base-not-pinned
        ");
    }

    #[test]
    fn every_image_named_anywhere_is_looked_at() {
        insta::assert_snapshot!(complaints_about("FROM scratch AS one\nCOPY --from=one /a /a\nCOPY --from=evil.example/x /a /a\nRUN --mount=type=bind,from=busybox,target=/b true\nCOPY --from=7 /a /a\n"), @r"
        error[unknown-base-registry]: `one` is no earlier stage and no image
          --> Dockerfile:2:6
           |
         2 | COPY --from=one /a /a
           |      ^^^^^^^^^^ an image is named with its registry, `registry/name`: there is no default registry
           = help: this project allows registry.example/base/*; ask for an entry in its settings, or use registry.example/base/one@sha256:…
           = more: docs/language.md#unknown-base-registry

        error[unknown-base-registry]: the base image does not come from a known registry
          --> Dockerfile:3:6
           |
         3 | COPY --from=evil.example/x /a /a
           |      ^^^^^^^^^^^^^^^^^^^^^ evil.example is not in known-registries
           = help: this project allows registry.example/base/*; ask for an entry in its settings, or use registry.example/base/x@sha256:…
           = more: docs/language.md#unknown-base-registry

        error[unknown-base-registry]: `busybox` is no earlier stage and no image
          --> Dockerfile:4:5
           |
         4 | RUN --mount=type=bind,from=busybox,target=/b true
           |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ an image is named with its registry, `registry/name`: there is no default registry
           = help: this project allows registry.example/base/*; ask for an entry in its settings, or use registry.example/base/busybox@sha256:…
           = more: docs/language.md#unknown-base-registry

        error[unknown-base-registry]: `7` is no earlier stage and no image
          --> Dockerfile:5:6
           |
         5 | COPY --from=7 /a /a
           |      ^^^^^^^^ an image is named with its registry, `registry/name`: there is no default registry
           = help: this project allows registry.example/base/*; ask for an entry in its settings, or use registry.example/base/7@sha256:…
           = more: docs/language.md#unknown-base-registry
        ");
    }

    #[test]
    fn a_stage_has_a_number_for_copy_only() {
        let text = "FROM scratch\nFROM scratch\nCOPY --from=0 /a /a\n";
        assert_eq!(complaints_about(text), "");
        let text = "FROM scratch\nFROM scratch\nRUN --mount=from=0,target=/a true\n";
        assert!(complaints_about(text).contains("unknown-base-registry"));
        let text = "FROM scratch AS a\nFROM a\nRUN --mount=from=a,target=/a true\n";
        assert_eq!(complaints_about(text), "");
    }

    #[test]
    fn caches_and_secrets_are_not_there_yet() {
        insta::assert_snapshot!(complaints_about("FROM scratch\nRUN --mount=type=cache,target=/root/.cache true\n"), @r"
        error[not-yet]: mounts of type `cache` are not there yet
          --> Dockerfile:2:5
           |
         2 | RUN --mount=type=cache,target=/root/.cache true
           |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without effect in this version
           = more: docs/language.md#not-yet
        ");
    }
}
