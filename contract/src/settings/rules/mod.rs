//! The rules between `syntax` and `model`. One rule is one file, one test and one anchor in
//! `docs/language.md`.
//!
//! *Comes in*: a document whose values have the right form. *Goes out*: complaints. *Owns*: nothing.
//! *Never*: a rule that knows another. *Before / After*: `read` is before, `check` after.

mod approver_role;
mod bad_registry_pattern;
mod bad_repository;
mod bad_source;
mod environment_cycle;
mod not_yet;
mod pipeline_path;
mod quarantine_known;
mod repository_overlap;
mod unknown_environment;

use crate::complaint::Complaints;
use crate::settings::syntax::File;

/// All rules.
pub(crate) fn check(file: &File, complaints: &mut Complaints<'_>) {
    bad_source::check(file, complaints);
    pipeline_path::check(file, complaints);
    bad_registry_pattern::check(file, complaints);
    bad_repository::check(file, complaints);
    quarantine_known::check(file, complaints);
    repository_overlap::check(file, complaints);
    unknown_environment::check(file, complaints);
    environment_cycle::check(file, complaints);
    approver_role::check(file, complaints);
    not_yet::check(file, complaints);
}

#[cfg(test)]
pub(crate) use story::complaints_about;

#[cfg(test)]
mod story {
    use crate::settings::check_all;

    /// Settings of a shop whose parts can be replaced: `(key, its whole line)`.
    fn whole(parts: &[(&str, &str)], environments: &str) -> String {
        let mut text = String::from("version: 1\nproject: shop\n");
        for (key, usual) in [
            (
                "source",
                "source: { git: \"https://forge.example/shop.git\" }",
            ),
            (
                "known-registries",
                "known-registries: [\"registry.example/base/*\"]",
            ),
            ("quarantine", "quarantine: registry.example/quarantine/shop"),
        ] {
            let part = parts.iter().find(|(other, _)| *other == key);
            text.push_str(part.map_or(usual, |(_, line)| line));
            text.push('\n');
        }
        for (key, line) in parts {
            if !["source", "known-registries", "quarantine"].contains(key) {
                text.push_str(line);
                text.push('\n');
            }
        }
        if !environments.is_empty() {
            text.push_str("environments:\n");
            text.push_str(environments);
        }
        text
    }

    /// The complaints, as people read them.
    pub(crate) fn complaints_about(parts: &[(&str, &str)], environments: &str) -> String {
        let checked = check_all("settings.yml", whole(parts, environments).as_bytes());
        assert_eq!(checked.value.is_some(), checked.complaints.is_empty());
        checked.rendered()
    }
}
