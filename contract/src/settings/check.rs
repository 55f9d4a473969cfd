//! From what the settings say to what we accept. The only maker of [`Settings`].

use crate::complaint::{Complaint, Spanned};
use crate::image::Repository;
use crate::language::{Checked, DEFAULT_PATH, checked};
use crate::name::Name;
use crate::settings::model::{Environment, Outsiders, Settings};
use crate::settings::{read, rules, syntax};

/// A step may take this long when the settings name no limit.
const TIMEOUT_MS_DEFAULT: u64 = 3_600_000;
/// Memory of one step when the settings name no limit.
const MEMORY_BYTES_DEFAULT: u64 = 4 << 30;
/// Steps at the same time when the settings name no limit.
const PARALLEL_STEPS_DEFAULT: u64 = 4;

/// Reads a settings document: settings, or everything that is wrong with it.
pub fn check(file: &str, bytes: &[u8]) -> Result<Settings, Vec<Complaint>> {
    check_all(file, bytes).into_result()
}

/// As [`check`], with the warnings that do not hinder.
pub fn check_all(file: &str, bytes: &[u8]) -> Checked<Settings> {
    checked(file, bytes, |node, complaints| {
        let file = read::file(node, complaints)?;
        rules::check(&file, complaints);
        settings(file)
    })
}

fn value<T>(spanned: Option<Spanned<T>>, default: T) -> T {
    spanned.map_or(default, |spanned| spanned.value)
}

fn settings(file: syntax::File) -> Option<Settings> {
    let known = file.known_registries.into_iter();
    let environments = file.environments.into_iter().map(environment);
    let parallel_steps = value(file.parallel_steps, PARALLEL_STEPS_DEFAULT);
    Some(Settings {
        project: file.project?.value,
        git: file.git?.value,
        pipeline: value(file.pipeline, DEFAULT_PATH.to_owned()),
        outsiders: value(file.outsiders, Outsiders::Never),
        known_registries: known.map(|text| text.value).collect(),
        quarantine: Repository::parse(&file.quarantine?.value).ok()?,
        timeout_ms: value(file.timeout, TIMEOUT_MS_DEFAULT),
        memory_bytes: value(file.memory, MEMORY_BYTES_DEFAULT),
        parallel_steps: u32::try_from(parallel_steps).ok()?,
        environments: environments.collect::<Option<_>>()?,
    })
}

fn environment(environment: syntax::Environment) -> Option<Environment> {
    let after = environment.after.iter();
    Some(Environment {
        name: environment.name.value,
        after: after
            .map(|name| Name::parse(&name.value).ok())
            .collect::<Option<_>>()?,
        repository: Repository::parse(&environment.repository?.value).ok()?,
        promote: environment.promote?.value,
        gate: environment.gate?,
    })
}
