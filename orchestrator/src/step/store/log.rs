//! All SQL of a lease's log: its chunks.

use super::super::state::{LeaseKey, StepId};
use crate::clock::At;
use crate::db::{Conn, Error};

/// One stored chunk.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::step) struct ChunkRow {
    pub(in crate::step) sequence: i64,
    pub(in crate::step) at_offset: i64,
    pub(in crate::step) bytes: i64,
    pub(in crate::step) sha256: String,
}

pub(in crate::step) async fn last_chunk(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<ChunkRow>, Error> {
    crate::fetch_optional!(
        conn,
        ChunkRow,
        "SELECT sequence, at_offset, bytes, sha256 FROM log_chunk
         WHERE step_id = $1 AND fence = $2 ORDER BY sequence DESC LIMIT 1",
        step.as_str(),
        fence
    )
}

pub(in crate::step) async fn chunk(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
    sequence: i64,
) -> Result<Option<ChunkRow>, Error> {
    crate::fetch_optional!(
        conn,
        ChunkRow,
        "SELECT sequence, at_offset, bytes, sha256 FROM log_chunk
         WHERE step_id = $1 AND fence = $2 AND sequence = $3",
        step.as_str(),
        fence,
        sequence
    )
}

/// Stores a chunk's row while the lease is held; false when it is not.
pub(in crate::step) async fn insert_chunk(
    conn: &mut Conn,
    key: &LeaseKey,
    row: &ChunkRow,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "INSERT INTO log_chunk (step_id, fence, sequence, at_offset, bytes, sha256, received_at)
         SELECT s.id, s.fence, $1, $2, $3, $4, $5 FROM step s
         WHERE s.id = $6 AND s.fence = $7 AND s.worker_id = $8 AND s.state = 'leased'",
        row.sequence,
        row.at_offset,
        row.bytes,
        &row.sha256,
        now.0,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    Ok(rows == 1)
}

/// How many bytes the step printed beyond what is kept of its log; none before its report.
pub(in crate::step) async fn log_dropped(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<i64, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64,),
        "SELECT log_dropped_bytes FROM report WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )?;
    Ok(row.map_or(0, |(bytes,)| bytes))
}

/// Count and bytes of the stored chunks of one lease.
pub(in crate::step) async fn log_sum(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<(i64, i64), Error> {
    crate::fetch_one!(
        conn,
        (i64, i64),
        "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM log_chunk
         WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )
}
