//! Who edited a gate: everybody who may not approve what it lets through, because they set what that has
//! to hold.
//!
//! The rule. A version of the settings *altered* a gate when it changed what the gate rests on: the
//! environment's own section, those of the environments that it comes after, and what decides which
//! source, pipeline, images and outsiders are trusted. Making the environment is altering it; limits and
//! other environments are not. Excluded is whoever applied a version that altered it
//!
//! - since the release that is in the environment now entered (all of them while it holds none): a
//!   change that no promotion by others has been through yet, however many versions came after it; and
//! - in any case the last version that altered it: a version that says something else only, or the
//!   same again, launders nobody.

use super::state::{GateError, Subject};
use crate::db::Conn;
use crate::identity::Actor;
use crate::project;
use contract::image::Repository;
use contract::settings::{Environment, Outsiders, Settings};

/// Versions that are looked through, from the newest: settings change a few times a month. Beyond it one
/// more approval is asked for.
const VERSIONS_MAX: usize = 200;

/// Who edited it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Editors {
    /// Ids of people.
    pub(super) people: Vec<String>,
    /// Those who can be matched to nobody, as stored.
    pub(super) nobodies: Vec<String>,
    /// Whether all versions that count were looked through.
    pub(super) complete: bool,
}

/// What a gate rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rests {
    environments: Vec<Environment>,
    git: String,
    pipeline: String,
    outsiders: Outsiders,
    known_registries: Vec<String>,
    quarantine: Repository,
}

/// What the gate before an environment rests on; none when there is no such environment.
fn rests(settings: &Settings, environment: &str) -> Option<Rests> {
    let mut environments = vec![settings.environment(environment)?.clone()];
    let mut seen = 0;
    while let Some(next) = environments.get(seen).cloned() {
        seen += 1;
        for after in &next.after {
            let known = environments.iter().any(|known| known.name == *after);
            if !known && let Some(found) = settings.environment(after.as_str()) {
                environments.push(found.clone());
            }
        }
    }
    Some(Rests {
        environments,
        git: settings.git.clone(),
        pipeline: settings.pipeline.clone(),
        outsiders: settings.outsiders,
        known_registries: settings.known_registries.clone(),
        quarantine: settings.quarantine.clone(),
    })
}

/// Everybody who edited the subject's gate, by the rule above.
pub(super) async fn editors(conn: &mut Conn, subject: &Subject) -> Result<Editors, GateError> {
    let name = subject.environment.name.as_str();
    let entered = subject.holds.as_ref().map_or(0, |h| h.settings_version);
    let mut editors = Editors::default();
    let mut newer = rests(&subject.settings, name);
    let mut altered = false;
    let mut version = subject.settings_version;
    for _ in 0..VERSIONS_MAX {
        if version == 0 || (altered && version <= entered) {
            editors.complete = true;
            break;
        }
        let older = match version - 1 {
            0 => None,
            before => project::settings_at(conn, &subject.project_id, before)
                .await?
                .and_then(|older| rests(&older.settings, name)),
        };
        if older != newer {
            altered = true;
            editors.note(project::editor(conn, &subject.project_id, version).await?);
        }
        (newer, version) = (older, version - 1);
    }
    Ok(editors)
}

impl Editors {
    fn note(&mut self, editor: Option<project::Editor>) {
        let (list, who) = match editor {
            Some(project::Editor {
                applied_by_id: Some(id),
                ..
            }) => (&mut self.people, id),
            // This program itself: no person's will is behind it.
            Some(project::Editor { applied_by, .. }) if applied_by == Actor::System.to_string() => {
                return;
            }
            Some(project::Editor { applied_by, .. }) => (&mut self.nobodies, applied_by),
            None => (&mut self.nobodies, "somebody".to_owned()),
        };
        if !list.contains(&who) {
            list.push(who);
        }
    }
}

#[cfg(test)]
#[path = "editors/tests.rs"]
mod tests;
