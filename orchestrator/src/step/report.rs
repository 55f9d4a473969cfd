//! The end of the work as the worker says it: a signed claim, stored verbatim, proved later.

use super::state::{Error, LeaseKey};
use super::store::{self, ReportRow};
use crate::fleet::Worker;
use crate::ground::Ground;
use contract::protocol::{ARTIFACTS_MAX, REPORT_BYTES_MAX, REPORT_PAYLOAD_TYPE, Report};

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// It is stored, now or since before.
    Stored,
    /// The lease has passed on.
    LeaseLost,
    /// Not signed by this worker's key, or not about this lease; in words.
    Refused(&'static str),
    /// Larger than it may be.
    TooLarge,
}

/// Stores a report. The caller rings `Bells::step`, `Bells::image` and `Bells::finding`.
pub async fn report(
    ground: &Ground,
    logs: &super::Logs,
    worker: &Worker,
    key: &LeaseKey,
    envelope: Vec<u8>,
) -> Result<Reported, Error> {
    if envelope.len() > REPORT_BYTES_MAX {
        return Ok(Reported::TooLarge);
    }
    let Some(payload) =
        crate::fleet::verify_envelope(&worker.public, REPORT_PAYLOAD_TYPE, &envelope)
    else {
        return Ok(Reported::Refused(
            "the report is not signed by this worker's key",
        ));
    };
    let Ok(payload) = String::from_utf8(payload) else {
        return Ok(Reported::Refused("the report is not JSON"));
    };
    let Ok(report) = serde_json::from_str::<Report>(&payload) else {
        return Ok(Reported::Refused("the report is not what was agreed"));
    };
    if report.step_id != key.step.as_str() || report.fence != key.fence {
        return Ok(Reported::Refused("the report is about another lease"));
    }
    if report.artifacts.len() > ARTIFACTS_MAX {
        return Ok(Reported::TooLarge);
    }
    let stored = store_once(ground, key, ReportRow { envelope, payload }, report).await?;
    if stored == Reported::Stored {
        logs.forget(&key.step, key.fence);
    }
    Ok(stored)
}

async fn store_once(
    ground: &Ground,
    key: &LeaseKey,
    row: ReportRow,
    report: Report,
) -> Result<Reported, Error> {
    let (now, key) = (ground.now(), key.clone());
    // One guarded UPDATE and a primary key: READ COMMITTED is enough.
    ground
        .db
        .write_guarded("step.report", move |conn| {
            Box::pin(async move {
                if let Some(known) = store::report(conn, &key.step, key.fence).await? {
                    // A signature is another one each time; the payload is what counts.
                    let same = known.payload == row.payload;
                    return Ok(if same {
                        Reported::Stored
                    } else {
                        Reported::LeaseLost
                    });
                }
                let stored = store::insert_report(conn, &key, &row, &report, now).await?;
                Ok::<_, Error>(if stored {
                    Reported::Stored
                } else {
                    Reported::LeaseLost
                })
            })
        })
        .await
}
