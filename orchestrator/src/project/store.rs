//! All SQL of projects and their settings.

use super::state::{Project, ProjectId, SettingsVersion};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::identity::{Actor, PersonId};
use contract::name::Name;

type Row = (String, String, i64);

fn project((id, name, settings_version): Row) -> Result<Project, Error> {
    let wrong = |column| Error::Inconsistent {
        table: "project",
        column,
        id: id.clone(),
    };
    Ok(Project {
        id: ProjectId::parse(&id).map_err(|_| wrong("id"))?,
        name: Name::parse(&name).map_err(|_| wrong("name"))?,
        settings_version,
    })
}

/// A project by its name.
pub async fn by_name(conn: &mut Conn, name: &str) -> Result<Option<Project>, Error> {
    let row = crate::fetch_optional!(
        conn,
        Row,
        "SELECT id, name, settings_version FROM project WHERE name = $1",
        name
    )?;
    row.map(project).transpose()
}

/// A project by its id.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Project>, Error> {
    let row = crate::fetch_optional!(
        conn,
        Row,
        "SELECT id, name, settings_version FROM project WHERE id = $1",
        id
    )?;
    row.map(project).transpose()
}

/// All projects, by name.
pub async fn list(conn: &mut Conn) -> Result<Vec<Project>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        "SELECT id, name, settings_version FROM project ORDER BY name"
    )?;
    rows.into_iter().map(project).collect()
}

pub(super) async fn insert(conn: &mut Conn, project: &Project, at: At) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
         VALUES ($1, $2, $3, $4, 0, 0) ON CONFLICT (name) DO NOTHING",
        project.id.as_str(),
        project.name.as_str(),
        at.0,
        project.settings_version
    )?;
    Ok(inserted == 1)
}

/// Guarded by the version that the new one was made from: false when another came first.
pub(super) async fn advance(conn: &mut Conn, id: &ProjectId, from: i64) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE project SET settings_version = $2 + 1 WHERE id = $1 AND settings_version = $2",
        id.as_str(),
        from
    )?;
    Ok(updated == 1)
}

pub(super) async fn insert_version(
    conn: &mut Conn,
    project: &ProjectId,
    version: i64,
    document: &[u8],
    at: At,
    by: &Actor,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO project_settings (project_id, version, document, digest, applied_at, applied_by,
                                       applied_by_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        project.as_str(),
        version,
        document,
        contract::digest::Digest::of(document).to_string(),
        at.0,
        by.to_string(),
        by.person().map(PersonId::as_str)
    )?;
    Ok(())
}

/// Who applied a version of the settings.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Editor {
    /// The actor, as stored.
    pub applied_by: String,
    /// The person, when it can be matched to one.
    pub applied_by_id: Option<String>,
}

/// Who applied a version.
pub async fn editor(
    conn: &mut Conn,
    project_id: &str,
    version: i64,
) -> Result<Option<Editor>, Error> {
    crate::fetch_optional!(
        conn,
        Editor,
        "SELECT applied_by, applied_by_id FROM project_settings
         WHERE project_id = $1 AND version = $2",
        project_id,
        version
    )
}

/// The settings document of a version, verbatim.
pub async fn settings_document(
    conn: &mut Conn,
    project_id: &str,
    version: i64,
) -> Result<Option<Vec<u8>>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (Vec<u8>,),
        "SELECT document FROM project_settings WHERE project_id = $1 AND version = $2",
        project_id,
        version
    )?;
    Ok(row.map(|(document,)| document))
}

/// The settings of a version.
pub async fn settings_at(
    conn: &mut Conn,
    project_id: &str,
    version: i64,
) -> Result<Option<SettingsVersion>, Error> {
    let Some(document) = settings_document(conn, project_id, version).await? else {
        return Ok(None);
    };
    // What was accepted once is read by every later version of this program.
    let settings =
        contract::settings::check("settings", &document).map_err(|_| Error::Inconsistent {
            table: "project_settings",
            column: "document",
            id: project_id.to_owned(),
        })?;
    Ok(Some(SettingsVersion { version, settings }))
}

/// The settings of now.
pub async fn current_settings(
    conn: &mut Conn,
    project_id: &str,
) -> Result<Option<SettingsVersion>, Error> {
    match by_id(conn, project_id).await? {
        Some(project) => settings_at(conn, project_id, project.settings_version).await,
        None => Ok(None),
    }
}

/// A version as lists show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct VersionRow {
    /// The version.
    pub version: i64,
    /// SHA-256 of the document.
    pub digest: String,
    /// When it was applied (µs since 1970 UTC).
    pub applied_at: i64,
    /// By whom.
    pub applied_by: String,
}

/// All versions, newest first.
pub async fn versions(conn: &mut Conn, project_id: &str) -> Result<Vec<VersionRow>, Error> {
    crate::fetch_all!(
        conn,
        VersionRow,
        "SELECT version, digest, applied_at, applied_by FROM project_settings
         WHERE project_id = $1 ORDER BY version DESC",
        project_id
    )
}

/// Takes the next number of a promotion, in the transaction that makes it.
pub async fn next_promotion_number(conn: &mut Conn, project_id: &str) -> Result<i64, Error> {
    let (number,) = crate::fetch_one!(
        conn,
        (i64,),
        "UPDATE project SET promotion_number = promotion_number + 1 WHERE id = $1
         RETURNING promotion_number",
        project_id
    )?;
    Ok(number)
}
