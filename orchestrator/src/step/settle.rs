//! Turns a reported step into a finished one: when the log is whole, the artifacts are there and the
//! later rooms have answered what the report is worth.

use super::end::{Ended, end};
use super::prove;
use super::state::{Error, Hands, Observation, Step, Verdict};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::ground::Ground;
use crate::run::Cause;
use contract::protocol::{Outcome, Report};
use std::time::Duration;

/// Later rooms that have not answered by then have lost the question; a run never waits for ever.
const ANSWER_MAX: Duration = Duration::from_secs(15 * 60);
/// A reason is foreign text, shown to people.
const REASON_CHARS_MAX: usize = 500;

/// Settles one reported step; none while an answer is missing.
pub(super) async fn settle(
    ground: &Ground,
    hands: &Hands,
    step: &Step,
    reported_at: At,
) -> Result<Option<Ended>, Error> {
    let (now, ids) = (ground.now(), ground.ids.clone());
    // Nobody could answer while this process was down.
    let late = now.since(reported_at.max(hands.up_since)) > ANSWER_MAX;
    // Asked first, cheaply: a log is read back once, when the answers are there, not at each pass.
    let answer = {
        let mut conn = ground.db.reader().await?;
        decide(&mut conn, hands, step, None).await?
    };
    let damaged = match answer {
        Some(Cause::Passed) => files_damaged(ground, hands, step).await?,
        Some(_) => None,
        None if late => None,
        None => return Ok(None),
    };
    let (hands, step) = (hands.clone(), step.clone());
    ground
        .db
        .write("step.settle", move |conn| {
            Box::pin(async move {
                let cause = match decide(conn, &hands, &step, damaged).await? {
                    Some(cause) => cause,
                    None if late => Cause::Incomplete {
                        what: "its reports were not read in time".to_owned(),
                    },
                    None => return Ok(None),
                };
                Ok::<_, Error>(Some(end(conn, ids.as_ref(), &step, cause, now).await?))
            })
        })
        .await
}

/// What the rows say was stored is read back: a file that was cut or changed is seen here.
async fn files_damaged(
    ground: &Ground,
    hands: &Hands,
    step: &Step,
) -> Result<Option<String>, Error> {
    let (last, artifacts) = {
        let mut conn = ground.db.reader().await?;
        let last = store::last_chunk(&mut conn, &step.id, step.fence).await?;
        (
            last,
            store::artifacts(&mut conn, &step.id, step.fence).await?,
        )
    };
    if let Some(last) = last {
        let hash = hands
            .logs
            .hash(&step.id, step.fence, last.at_offset + last.bytes)
            .await?;
        if hash.is_none_or(|hash| hash.hex() != last.sha256) {
            return Ok(Some("log: the stored file was cut or changed".to_owned()));
        }
    }
    for row in artifacts {
        let path = contract::digest::Digest::parse(&row.digest).map(|d| hands.blobs.path(&d));
        let there = match path {
            Ok(path) => tokio::fs::metadata(path)
                .await
                .is_ok_and(|file| i64::try_from(file.len()) == Ok(row.bytes)),
            Err(_) => false,
        };
        if !there {
            return Ok(Some(format!("artifact {}", row.name)));
        }
    }
    Ok(None)
}

async fn decide(
    conn: &mut Conn,
    hands: &Hands,
    step: &Step,
    damaged: Option<String>,
) -> Result<Option<Cause>, Error> {
    let Some(row) = store::report(conn, &step.id, step.fence).await? else {
        return Ok(Some(Cause::Incomplete {
            what: "no report".to_owned(),
        }));
    };
    let report: Report = serde_json::from_str(&row.payload).map_err(|source| Error::Stored {
        what: "report",
        step: step.id.clone(),
        source,
    })?;
    let cancelled_by = crate::run::cancel_asked(conn, &step.run_id).await?;
    match report.outcome {
        Outcome::Passed => passed(conn, hands, step, damaged).await,
        Outcome::Failed {
            reason,
            exit_code: _,
        } => {
            // Its reports are read first, so that a failed step shows its findings.
            let waits = step.kind != "build"
                && hands.verdicts.verdict(conn, &step.id, step.fence).await? == Verdict::NotYet;
            Ok((!waits).then(|| Cause::Failed {
                what: short(&reason),
            }))
        }
        Outcome::Refused { reason } => Ok(Some(Cause::Refused {
            why: short(&reason),
        })),
        Outcome::Cancelled => Ok(Some(match cancelled_by {
            Some(by) => Cause::Cancelled { by },
            None => Cause::Infrastructure {
                what: "the worker ended it unasked".to_owned(),
            },
        })),
        Outcome::Deadline => Ok(Some(Cause::Deadline {
            which: format!("{} s", step.timeout_ms / 1000),
        })),
        Outcome::Infrastructure { what } => Ok(Some(Cause::Infrastructure { what: short(&what) })),
        Outcome::Unsupported => Ok(Some(Cause::Incomplete {
            what: "the report's outcome is unknown to this version".to_owned(),
        })),
    }
}

async fn passed(
    conn: &mut Conn,
    hands: &Hands,
    step: &Step,
    damaged: Option<String>,
) -> Result<Option<Cause>, Error> {
    if let Some(what) = damaged {
        return Ok(Some(Cause::Incomplete { what }));
    }
    if let Err(what) = prove::proof(conn, &step.id, step.fence).await? {
        return Ok(Some(Cause::Incomplete { what }));
    }
    if step.kind == "build" {
        return Ok(
            match hands.images.observation(conn, &step.id, step.fence).await? {
                Observation::NotYet => None,
                Observation::Observed => Some(Cause::Passed),
                Observation::Infrastructure { detail } => Some(Cause::Infrastructure {
                    what: short(&detail),
                }),
                Observation::Refused { detail } => Some(Cause::Incomplete {
                    what: format!("image: {}", short(&detail)),
                }),
            },
        );
    }
    Ok(
        match hands.verdicts.verdict(conn, &step.id, step.fence).await? {
            Verdict::NotYet => None,
            Verdict::Passed => Some(Cause::Passed),
            Verdict::Failed { what } => Some(Cause::Failed { what: short(&what) }),
            Verdict::Incomplete { what } => Some(Cause::Incomplete { what: short(&what) }),
            Verdict::Infrastructure { what } => Some(Cause::Infrastructure { what: short(&what) }),
        },
    )
}

fn short(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect()
}
