//! The answer to `step::Verdicts`: what the stored reports of a lease say.

use super::store;
use super::verdict::Verdict;
use crate::db::{Conn, Error};
use crate::step::{self, StepId};
use futures::future::BoxFuture;

/// Answers from the verdicts that the pass has written; plugged into `step` in `flow.rs`.
pub struct StoredVerdicts;

impl step::Verdicts for StoredVerdicts {
    fn verdict<'a>(
        &'a self,
        conn: &'a mut Conn,
        step: &'a StepId,
        fence: i64,
    ) -> BoxFuture<'a, Result<step::Verdict, Error>> {
        Box::pin(async move {
            let given = store::verdict(conn, step.as_str(), fence).await?;
            Ok(match given {
                None => step::Verdict::NotYet,
                Some(Verdict::Passed) => step::Verdict::Passed,
                Some(Verdict::Failed(what)) => step::Verdict::Failed { what },
                Some(Verdict::Incomplete(what)) => step::Verdict::Incomplete { what },
                Some(Verdict::Infrastructure(what)) => step::Verdict::Infrastructure { what },
            })
        })
    }
}
