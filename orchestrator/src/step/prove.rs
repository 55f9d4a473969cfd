//! Reads what may prove that a step passed: its signed report, its log, its artifacts.

use super::state::{Error, StepId};
use super::store;
use crate::db::Conn;
use crate::run::{Proof, StoredArtifact, StoredLog};
use contract::digest::Digest;
use contract::protocol::Report;

/// The proof for this lease of a step from what is stored; else what is missing, in words.
pub(super) async fn proof(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Result<Proof, String>, Error> {
    let Some(row) = store::report(conn, step, fence).await? else {
        return Ok(Err("no report".to_owned()));
    };
    let report: Report = serde_json::from_str(&row.payload).map_err(|source| Error::Stored {
        what: "report",
        step: step.clone(),
        source,
    })?;
    let (chunks, bytes) = store::log_sum(conn, step, fence).await?;
    let last = store::last_chunk(conn, step, fence).await?;
    let log = StoredLog {
        chunks,
        bytes,
        sha256: last.map_or_else(|| Digest::of(b"").hex(), |chunk| chunk.sha256),
    };
    let artifact = |row: store::ArtifactRow| StoredArtifact {
        name: row.name,
        digest: row.digest,
        bytes: row.bytes,
    };
    let artifacts = store::artifacts(conn, step, fence).await?;
    Ok(Proof::of(
        report,
        log,
        artifacts.into_iter().map(artifact).collect(),
    ))
}
