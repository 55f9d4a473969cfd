//! An outside image is pinned by its digest: a tag can move.

use crate::complaint::{Code, Complaints, quoted};
use crate::image::{ImageRef, InvalidImage, without_tag};
use crate::language::syntax::File;
use crate::name::Name;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for place in file.images() {
        let text = &place.image.value;
        if Name::parse(text).is_ok() || ImageRef::parse(text) != Err(InvalidImage::NotPinned) {
            continue;
        }
        let tag = text.strip_prefix(without_tag(text)).unwrap_or_default();
        let label = match tag.strip_prefix(':') {
            Some(tag) => format!("the tag {} can move", quoted(tag)),
            None => "no digest".to_owned(),
        };
        let message = "the image is not pinned by its digest";
        complaints
            .error(Code::ImageNotPinned, place.image.span, message, label)
            .help(format!("write `{}@sha256:…`", short(without_tag(text))));
    }
}

fn short(text: &str) -> String {
    text.chars()
        .take(crate::image::REPOSITORY_BYTES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_tag_is_no_pin() {
        insta::assert_snapshot!(complaints_about("  a: { run: { image: \"registry.example/base/python:3.12\", command: [x] } }\n"), @r#"
        error[image-not-pinned]: the image is not pinned by its digest
          --> .sallyport.yml:4:22
           |
         4 |   a: { run: { image: "registry.example/base/python:3.12", command: [x] } }
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the tag `3.12` can move
           = help: write `registry.example/base/python@sha256:…`
           = more: docs/language.md#image-not-pinned
        "#);
    }
}
