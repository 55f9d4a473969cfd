//! All SQL of the files that a lease stored.

use super::super::state::{LeaseKey, StepId};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::run::RunId;
use contract::digest::Digest;

/// One stored artifact.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ArtifactRow {
    /// Its id.
    pub id: String,
    /// Its place in the order of uploads.
    pub sequence: i64,
    /// Its name, a relative path.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Its length.
    pub bytes: i64,
}

/// The artifacts of one lease, by name.
pub async fn artifacts(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Vec<ArtifactRow>, Error> {
    crate::fetch_all!(
        conn,
        ArtifactRow,
        "SELECT id, sequence, name, digest, bytes FROM artifact WHERE step_id = $1 AND fence = $2
         ORDER BY name",
        step.as_str(),
        fence
    )
}

/// One artifact, when it is of a last lease of a step of this run.
pub async fn artifact(
    conn: &mut Conn,
    run: &RunId,
    id: &str,
) -> Result<Option<ArtifactRow>, Error> {
    crate::fetch_optional!(
        conn,
        ArtifactRow,
        "SELECT a.id, a.sequence, a.name, a.digest, a.bytes FROM artifact a
         JOIN step s ON s.id = a.step_id AND s.fence = a.fence
         WHERE a.id = $1 AND s.run_id = $2",
        id,
        run.as_str()
    )
}

pub(in crate::step) struct NewArtifact<'a> {
    pub(in crate::step) id: &'a str,
    pub(in crate::step) sequence: i64,
    pub(in crate::step) name: &'a str,
    pub(in crate::step) digest: &'a Digest,
    pub(in crate::step) bytes: i64,
}

/// Stores an artifact's row while the lease is held; false when it is not.
pub(in crate::step) async fn insert_artifact(
    conn: &mut Conn,
    key: &LeaseKey,
    new: NewArtifact<'_>,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "INSERT INTO artifact (id, step_id, fence, sequence, name, digest, bytes, stored_at)
         SELECT $1, s.id, s.fence, $2, $3, $4, $5, $6 FROM step s
         WHERE s.id = $7 AND s.fence = $8 AND s.worker_id = $9 AND s.state = 'leased'",
        new.id,
        new.sequence,
        new.name,
        new.digest.to_string(),
        new.bytes,
        now.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(rows == 1)
}
