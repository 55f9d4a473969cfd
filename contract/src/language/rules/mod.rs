//! The rules between `syntax` and `pipeline`. One rule is one file, one test and one anchor in
//! `docs/language.md`.
//!
//! *Comes in*: a file whose values have the right form. *Goes out*: complaints. *Owns*: nothing.
//! *Never*: a rule that knows another. *Before / After*: `read` is before, `check` after.

mod bad_env;
mod bad_image;
mod bad_path;
mod bad_ready;
mod empty_when;
mod host_twice;
mod image_not_built;
mod image_not_pinned;
mod needs_cycle;
mod never_starts;
mod not_for_this_kind;
mod not_yet;
mod over_limit;
mod port_twice;
mod root_user;
mod script_or_command;
mod step_kind;
mod unknown_registry;
mod unknown_step;
mod work_over_memory;

use crate::complaint::Complaints;
use crate::language::CheckContext;
use crate::language::syntax::File;

pub(crate) use bad_path::path_fault;
pub(crate) use needs_cycle::circles;

/// All rules.
pub(crate) fn check(file: &File, context: &CheckContext, complaints: &mut Complaints<'_>) {
    step_kind::check(file, complaints);
    unknown_step::check(file, complaints);
    needs_cycle::check(file, complaints);
    bad_image::check(file, complaints);
    image_not_pinned::check(file, complaints);
    image_not_built::check(file, complaints);
    unknown_registry::check(file, context, complaints);
    script_or_command::check(file, complaints);
    bad_ready::check(file, complaints);
    port_twice::check(file, complaints);
    host_twice::check(file, complaints);
    root_user::check(file, complaints);
    bad_env::check(file, complaints);
    bad_path::check(file, complaints);
    over_limit::check(file, context, complaints);
    work_over_memory::check(file, context, complaints);
    never_starts::check(file, complaints);
    empty_when::check(file, complaints);
    not_for_this_kind::check(file, complaints);
    not_yet::check(file, complaints);
}

#[cfg(test)]
pub(crate) use story::complaints_about;

#[cfg(test)]
mod story {
    use crate::language::{CheckContext, check_all};

    /// The complaints about steps, as people read them, for a project that knows
    /// `registry.example/base/*`. `<digest>` stands for a digest.
    pub(crate) fn complaints_about(steps: &str) -> String {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let text = format!("version: 1\non: {{ push: {{}} }}\nsteps:\n{steps}");
        let context = CheckContext {
            known_registries: Some(vec!["registry.example/base/*".to_owned()]),
            timeout_ms_max: Some(3_600_000),
            memory_bytes_max: Some(4 << 30),
        };
        let bytes = text.replace("<digest>", &digest);
        let checked = check_all(".sallyport.yml", bytes.as_bytes(), &context);
        assert_eq!(checked.value.is_some(), checked.complaints.is_empty());
        checked.rendered().replace(&digest, "<digest>")
    }
}
