//! What proves that a step passed: its signed report, an unbroken log, every declared artifact.

use super::state::{Error, StepId};
use super::store;
use crate::db::Conn;
use crate::run::Proof;
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
    if chunks != report.log.chunks || bytes != report.log.bytes {
        return Ok(Err(format!(
            "log: {bytes} bytes in {chunks} chunks are here, {} bytes in {} chunks were sent",
            report.log.bytes, report.log.chunks
        )));
    }
    let hash = last.map_or_else(|| Digest::of(b"").hex(), |chunk| chunk.sha256);
    if hash != report.log.sha256.hex() {
        return Ok(Err("log: its hash is not the one reported".to_owned()));
    }
    let stored = store::artifacts(conn, step, fence).await?;
    for claim in &report.artifacts {
        let there = stored.iter().any(|row| {
            row.name == claim.name
                && row.digest == claim.digest.to_string()
                && u64::try_from(row.bytes) == Ok(claim.bytes)
        });
        if !there {
            // A name in a report is foreign text, and may be long.
            let name: String = claim.name.chars().take(100).collect();
            return Ok(Err(format!("artifact {name}")));
        }
    }
    Ok(Ok(Proof {
        report: Digest::of(&row.envelope),
        log_sha256: report.log.sha256,
        log_bytes: bytes,
        artifacts: report.artifacts.len(),
    }))
}
