//! The end of a run: called by `step` in the transaction that ends its last step. Green means green
//! (P4): `Passed` is given only when every step hands over its proof by value.

use super::state::{Cause, Error, RunId};
use super::store;
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::Conn;
use crate::id::IdSource;
use crate::identity::Actor;
use crate::metrics::metrics;
use contract::protocol::Report;

/// The log of a step's last lease, as it is stored.
#[derive(Debug)]
pub struct StoredLog {
    /// How many chunks there are.
    pub chunks: i64,
    /// Their bytes together.
    pub bytes: i64,
    /// SHA-256 of all of them, in hex.
    pub sha256: String,
}

/// An artifact of a step's last lease, as it is stored.
#[derive(Debug)]
pub struct StoredArtifact {
    /// Its name.
    pub name: String,
    /// Its digest, as text.
    pub digest: String,
    /// Its length.
    pub bytes: i64,
}

/// What proves that a step passed. There is no other way to one than what is stored of it, and it proves
/// one end once.
#[derive(Debug)]
pub struct Proof(());

impl Proof {
    /// The proof for a step's last lease: its log is the one that the report says, from end to end, and every
    /// artifact that the report declares is there; else what is missing, in words.
    pub fn of(
        report: Report,
        log: StoredLog,
        artifacts: Vec<StoredArtifact>,
    ) -> Result<Self, String> {
        if log.chunks != report.log.chunks || log.bytes != report.log.bytes {
            return Err(format!(
                "log: {} bytes in {} chunks are here, {} bytes in {} chunks were sent",
                log.bytes, log.chunks, report.log.bytes, report.log.chunks
            ));
        }
        if log.sha256 != report.log.sha256.hex() {
            return Err("log: its hash is not the one reported".to_owned());
        }
        for claim in report.artifacts {
            let there = artifacts.iter().any(|stored| {
                stored.name == claim.name
                    && stored.digest == claim.digest.to_string()
                    && u64::try_from(stored.bytes) == Ok(claim.bytes)
            });
            if !there {
                // A name in a report is foreign text, and may be long.
                let name: String = claim.name.chars().take(100).collect();
                return Err(format!("artifact {name}"));
            }
        }
        Ok(Self(()))
    }
}

/// How one step ended.
#[derive(Debug)]
pub struct StepEnd {
    /// The step.
    pub name: String,
    /// Why it ended.
    pub cause: Cause,
    /// For a step that passed: its proof.
    pub proof: Option<Proof>,
}

/// How a run ends.
pub type Verdict = Cause;

/// Decides from the ends of all steps, in their order; pure.
pub fn verdict(ends: &[StepEnd], cancelled_by: Option<&str>) -> Verdict {
    if ends.is_empty() {
        return Cause::Incomplete {
            what: "no step has a result".to_owned(),
        };
    }
    let not_green = ends.iter().find_map(|end| match (&end.cause, &end.proof) {
        (Cause::Passed, Some(_)) => None,
        (Cause::Passed, None) => Some(Cause::Incomplete {
            what: format!("step {} has no proof", end.name),
        }),
        // Its reason stands at the step that it needs.
        (Cause::Needed { .. }, _) => None,
        (Cause::Failed { .. }, _) => Some(Cause::Failed {
            what: end.name.clone(),
        }),
        (Cause::Cancelled { by }, _) => Some(Cause::Cancelled { by: by.clone() }),
        (Cause::Superseded { by }, _) => Some(Cause::Superseded { by: by.clone() }),
        (Cause::WorkerLost, _) => Some(Cause::Infrastructure {
            what: format!("step {}: worker lost", end.name),
        }),
        (Cause::Deadline { .. }, _) => Some(Cause::Deadline {
            which: format!("of step {}", end.name),
        }),
        (Cause::Refused { why }, _) => Some(Cause::Refused {
            why: format!("step {}: {why}", end.name),
        }),
        (Cause::Incomplete { what }, _) => Some(Cause::Incomplete {
            what: format!("step {}: {what}", end.name),
        }),
        (Cause::Infrastructure { what }, _) => Some(Cause::Infrastructure {
            what: format!("step {}: {what}", end.name),
        }),
    });
    match (not_green, cancelled_by) {
        (Some(_), Some(by)) => Cause::Cancelled { by: by.to_owned() },
        (Some(cause), None) => cause,
        // Only skipped steps beside green ones: what they need is not among these steps.
        (None, _) if ends.iter().any(|end| end.cause != Cause::Passed) => Cause::Incomplete {
            what: "a step was skipped".to_owned(),
        },
        (None, _) => Cause::Passed,
    }
}

/// Ends a run that has no open step left; the proofs are used up.
pub async fn finish(
    conn: &mut Conn,
    ids: &dyn IdSource,
    run: &RunId,
    ends: Vec<StepEnd>,
    now: At,
) -> Result<Verdict, Error> {
    let cancelled_by = store::cancel_asked(conn, run).await?;
    let cause = verdict(&ends, cancelled_by.as_deref());
    if store::finished(conn, run, &cause, now).await? {
        let mut record = Record::new("run.finished", format!("run:{run}"), &Actor::System)
            .with("cause", cause.word());
        if let Some(project) = store::project_of(conn, run).await? {
            record = record.project(project);
        }
        // Who cancelled it stands, by id, in the entry about their asking.
        let is_cancelled = matches!(cause, Cause::Cancelled { .. });
        if let Some(detail) = cause.detail().filter(|_| !is_cancelled) {
            record = record.with("detail", detail);
        }
        audit::append(conn, now, ids, record).await?;
        let (id, word) = (run.clone(), cause.word());
        conn.after_commit(move || {
            metrics().run_ended(word);
            tracing::info!(run.id = %id, cause = word, "a run has ended");
        });
    }
    Ok(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(name: &str) -> StepEnd {
        StepEnd {
            name: name.to_owned(),
            cause: Cause::Passed,
            proof: Some(Proof(())),
        }
    }

    #[test]
    fn green_needs_a_proof_of_every_step() {
        assert_eq!(verdict(&[passed("a"), passed("b")], None), Cause::Passed);
        let unproved = StepEnd {
            proof: None,
            ..passed("b")
        };
        let wanted = Cause::Incomplete {
            what: "step b has no proof".to_owned(),
        };
        assert_eq!(verdict(&[passed("a"), unproved], None), wanted);
        assert_ne!(verdict(&[], None), Cause::Passed);
    }

    #[test]
    fn a_skipped_step_is_never_green() {
        let cause = Cause::Needed {
            step: "x".to_owned(),
        };
        let skipped = StepEnd {
            name: "b".to_owned(),
            cause,
            proof: None,
        };
        assert_ne!(verdict(&[passed("a"), skipped], None), Cause::Passed);
    }

    #[test]
    fn the_first_step_that_did_not_pass_gives_the_cause_and_a_cancel_stands_over_it() {
        let failed = StepEnd {
            name: "unit".to_owned(),
            cause: Cause::Failed {
                what: "exit code 1".to_owned(),
            },
            proof: None,
        };
        let ends = [passed("a"), failed];
        assert_eq!(
            verdict(&ends, None),
            Cause::Failed {
                what: "unit".to_owned()
            }
        );
        assert_eq!(
            verdict(&ends, Some("person(mara)")),
            Cause::Cancelled {
                by: "person(mara)".to_owned()
            }
        );
        // It was asked for too late: everything had passed.
        assert_eq!(verdict(&[passed("a")], Some("person(mara)")), Cause::Passed);
    }
}
