//! Quarantine holds what nobody has judged: it is never a known registry.

use crate::complaint::{Code, Complaints};
use crate::image::Repository;
use crate::language::RegistryPattern;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let Some(quarantine) = &file.quarantine else {
        return;
    };
    let Ok(prefix) = Repository::parse(&quarantine.value) else {
        return;
    };
    for text in &file.known_registries {
        let pattern = RegistryPattern::parse(&text.value);
        if pattern.is_ok_and(|pattern| pattern.reaches_into(&prefix)) {
            let message = "quarantine lies among the known registries";
            let label = format!("this takes in {prefix}");
            complaints
                .error(Code::QuarantineKnown, text.span, message, label)
                .help("name the folders of known-registries more narrowly");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn quarantine_is_never_a_known_registry() {
        insta::assert_snapshot!(complaints_about(&[("known-registries", "known-registries: [\"registry.example/base/*\", \"registry.example/**\"]")], ""), @r#"
        error[quarantine-known]: quarantine lies among the known registries
          --> settings.yml:4:47
           |
         4 | known-registries: ["registry.example/base/*", "registry.example/**"]
           |                                               ^^^^^^^^^^^^^^^^^^^^^ this takes in registry.example/quarantine/shop
           = help: name the folders of known-registries more narrowly
           = more: docs/language.md#quarantine-known
        "#);
    }
}
