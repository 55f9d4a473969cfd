//! Projects and versions of settings.

use contract::name::Name;
use contract::settings::Settings;

crate::id_type!(
    /// A project.
    ProjectId
);

/// One repository under care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
    /// The version of its settings that holds now.
    pub settings_version: i64,
}

/// Settings with their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsVersion {
    /// The version, from 1.
    pub version: i64,
    /// The settings.
    pub settings: Settings,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The database.
    #[error("read or write projects")]
    Db(#[from] crate::db::Error),
}
