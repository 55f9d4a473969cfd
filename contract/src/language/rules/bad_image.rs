//! An outside image is `registry/name@sha256:…`.

use crate::complaint::{Code, Complaints, quoted};
use crate::image::{ImageRef, InvalidImage};
use crate::language::syntax::File;
use crate::name::Name;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for place in file.images() {
        let text = &place.image.value;
        let is_name = Name::parse(text).is_ok();
        if is_name && (place.may_be_built || file.builds(text)) {
            continue;
        }
        match ImageRef::parse(text) {
            // Another rule's affair.
            Ok(_) => {}
            Err(InvalidImage::NotPinned) if !is_name => {}
            Err(error) => {
                let error = if is_name {
                    InvalidImage::NoRegistry
                } else {
                    error
                };
                let message = format!("{} is not an image", quoted(text));
                complaints
                    .error(Code::BadImage, place.image.span, message, error.to_string())
                    .help("write `registry/name@sha256:<64 hexadecimal digits>`");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn an_image_has_its_registry_and_a_digest() {
        insta::assert_snapshot!(complaints_about("  a: { run: { image: python, command: [x] } }\n  b: { run: { image: \"registry.example/base/a@sha512:00\", command: [x] } }\n  c: { run: { image: \"python@<digest>\", command: [x] } }\n"), @r#"
        error[bad-image]: `python` is not an image
          --> .sallyport.yml:4:22
           |
         4 |   a: { run: { image: python, command: [x] } }
           |                      ^^^^^^ an image is named with its registry, `registry/name`: there is no default registry
           = help: write `registry/name@sha256:<64 hexadecimal digits>`
           = more: docs/language.md#bad-image

        error[bad-image]: `registry.example/base/a@sha512:00` is not an image
          --> .sallyport.yml:5:22
           |
         5 |   b: { run: { image: "registry.example/base/a@sha512:00", command: [x] } }
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ digest algorithm `sha512` is not accepted: only sha256 is
           = help: write `registry/name@sha256:<64 hexadecimal digits>`
           = more: docs/language.md#bad-image

        error[bad-image]: `python@sha256:0123456789abcdef0123456789abcdef0123456789abcd…` is not an image
          --> .sallyport.yml:6:22
           |
         6 |   c: { run: { image: "python@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456…
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ an image is named with its registry, `registry/name`: there is no default registry
           = help: write `registry/name@sha256:<64 hexadecimal digits>`
           = more: docs/language.md#bad-image
        "#);
    }
}
