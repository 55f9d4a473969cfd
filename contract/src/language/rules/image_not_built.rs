//! An image without a registry is the name of a `build` step.

use crate::complaint::{Code, Complaints, quoted};
use crate::language::syntax::File;
use crate::name::Name;
use crate::yaml::nearest;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let built = || {
        let names = file.steps.iter().map(|step| step.name.value.as_str());
        names.filter(|name| file.builds(name))
    };
    for place in file.images() {
        let text = &place.image.value;
        if !place.may_be_built || Name::parse(text).is_err() || file.builds(text) {
            continue;
        }
        let message = format!("no step builds an image {}", quoted(text));
        let label = nearest(text, built()).map_or_else(
            || "no such `build` step".to_owned(),
            |n| format!("did you mean `{n}`?"),
        );
        complaints
            .error(Code::ImageNotBuilt, place.image.span, message, label)
            .help("an image is named after the `build` step that makes it");
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn a_bare_name_is_a_build_step() {
        insta::assert_snapshot!(complaints_about("  web: { build: {} }\n  a: { scan: { image: wep } }\n  b: { scan: { image: a } }\n"), @r"
        error[image-not-built]: no step builds an image `wep`
          --> .sallyport.yml:5:23
           |
         5 |   a: { scan: { image: wep } }
           |                       ^^^ did you mean `web`?
           = help: an image is named after the `build` step that makes it
           = more: docs/language.md#image-not-built

        error[image-not-built]: no step builds an image `a`
          --> .sallyport.yml:6:23
           |
         6 |   b: { scan: { image: a } }
           |                       ^ no such `build` step
           = help: an image is named after the `build` step that makes it
           = more: docs/language.md#image-not-built
        ");
    }
}
