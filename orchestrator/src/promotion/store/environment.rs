//! All SQL of what is in environments.

use super::super::state::Promotion;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::gate::Holding;
use crate::image::ReleaseId;

/// What one environment holds.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Placed {
    /// The environment.
    pub environment: String,
    /// The release.
    pub release_id: String,
    /// The promotion that brought it.
    pub promotion_id: String,
    /// Since when (µs since 1970 UTC).
    pub since_at: i64,
}

/// What each environment of a project holds.
pub async fn in_environments(conn: &mut Conn, project_id: &str) -> Result<Vec<Placed>, Error> {
    crate::fetch_all!(
        conn,
        Placed,
        "SELECT environment, release_id, promotion_id, since_at FROM environment_release
         WHERE project_id = $1 ORDER BY environment",
        project_id
    )
}

/// What an environment holds.
pub async fn in_environment(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
) -> Result<Option<Placed>, Error> {
    crate::fetch_optional!(
        conn,
        Placed,
        "SELECT environment, release_id, promotion_id, since_at FROM environment_release
         WHERE project_id = $1 AND environment = $2",
        project_id,
        environment
    )
}

/// Where a release is now.
pub(in crate::promotion) async fn placements(
    conn: &mut Conn,
    project_id: &str,
    release_id: &ReleaseId,
) -> Result<Vec<(String, i64)>, Error> {
    crate::fetch_all!(
        conn,
        (String, i64),
        "SELECT environment, since_at FROM environment_release
         WHERE project_id = $1 AND release_id = $2",
        project_id,
        release_id.as_str()
    )
}

/// What its environment holds: the commit, and the settings by which that was let in.
pub(in crate::promotion) async fn holding(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
) -> Result<Option<Holding>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, i64),
        "SELECT r.commit_id, p.settings_version FROM environment_release e
         JOIN release l ON l.id = e.release_id
         JOIN run r ON r.id = l.run_id
         JOIN promotion p ON p.id = e.promotion_id
         WHERE e.project_id = $1 AND e.environment = $2",
        project_id,
        environment
    )?;
    Ok(row.map(|(commit, settings_version)| Holding {
        commit,
        settings_version,
    }))
}

/// Whether something is being copied into the environment right now.
pub(in crate::promotion) async fn is_busy(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
) -> Result<bool, Error> {
    let (count,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT COUNT(*) FROM promotion
         WHERE project_id = $1 AND environment = $2 AND state = 'applying'",
        project_id,
        environment
    )?;
    Ok(count > 0)
}

/// The environment holds this release now.
pub(in crate::promotion) async fn place(
    conn: &mut Conn,
    promotion: &Promotion,
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO environment_release (project_id, environment, release_id, promotion_id, since_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, environment)
         DO UPDATE SET release_id = $3, promotion_id = $4, since_at = $5",
        &promotion.project_id,
        promotion.environment.as_str(),
        promotion.release_id.as_str(),
        promotion.id.as_str(),
        at.0
    )?;
    Ok(())
}

/// No release is known to be whole in the environment.
pub(in crate::promotion) async fn displace(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "DELETE FROM environment_release WHERE project_id = $1 AND environment = $2",
        project_id,
        environment
    )?;
    Ok(())
}
