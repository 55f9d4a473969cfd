//! What is set: projects and the versions of their settings.
//!
//! *Comes in*: settings documents with the version that they were made from.
//! *Goes out*: the settings of now, or of a version.
//! *Owns*: `project`, `project_settings`.
//! *Never*: a stage; settings from a commit; a version that was overwritten.
//! *Before / After*: `identity` / every stage.

mod apply;
mod difference;
mod state;
mod store;

pub use apply::{ApplyOutcome, apply};
pub use state::{Project, ProjectError, ProjectId, SettingsVersion};
pub use store::{
    Editor, VersionRow, by_id, by_name, current_settings, editor, list, next_promotion_number,
    settings_at, settings_document, versions,
};
