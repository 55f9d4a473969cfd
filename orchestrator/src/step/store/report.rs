//! All SQL of reports.

use super::super::state::{LeaseKey, StepId};
use crate::clock::At;
use crate::db::{Conn, Error};
use contract::protocol::Report;

/// The stored report of one lease: envelope and payload.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::step) struct ReportRow {
    pub(in crate::step) envelope: Vec<u8>,
    pub(in crate::step) payload: String,
}

pub(in crate::step) async fn report(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<ReportRow>, Error> {
    crate::fetch_optional!(
        conn,
        ReportRow,
        "SELECT envelope, payload FROM report WHERE step_id = $1 AND fence = $2",
        step.as_str(),
        fence
    )
}

/// The report of one lease as it was stored; the worker's claims, verified to be its own.
pub async fn claimed(
    conn: &mut Conn,
    step: &StepId,
    fence: i64,
) -> Result<Option<contract::protocol::Report>, Error> {
    let row = report(conn, step, fence).await?;
    let read = |row: ReportRow| {
        serde_json::from_str(&row.payload).map_err(|_| Error::Inconsistent {
            table: "report",
            column: "payload",
            id: format!("{step} {fence}"),
        })
    };
    row.map(read).transpose()
}

/// Stores the report and takes the step out of the worker's hands; false when the lease is lost.
pub(in crate::step) async fn insert_report(
    conn: &mut Conn,
    key: &LeaseKey,
    row: &ReportRow,
    report: &Report,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE step SET state = 'reported', lease_ends_at = NULL, reported_at = $1, phase = NULL,
                started_at = $2, first_output_at = $3
         WHERE id = $4 AND fence = $5 AND worker_id = $6 AND state = 'leased'",
        now.0,
        report.times.started_at,
        report.times.first_output_at,
        key.step.as_str(),
        key.fence,
        key.worker.as_str()
    )?;
    if rows == 0 {
        return Ok(false);
    }
    crate::execute!(
        conn,
        "INSERT INTO report (step_id, fence, envelope, payload, received_at, log_dropped_bytes)
         VALUES ($1, $2, $3, $4, $5, $6)",
        key.step.as_str(),
        key.fence,
        &row.envelope,
        &row.payload,
        now.0,
        // A claim: what nobody has cannot be checked, and less than nothing was not printed.
        report.log.dropped_bytes.max(0)
    )?;
    Ok(true)
}
