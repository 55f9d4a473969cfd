//! All SQL of making a run.

use super::super::state::{Cause, RunId};
use super::due::{Start, Wish};
use crate::clock::At;
use crate::db::{self, Conn};
use crate::source::CommitInfo;
use contract::digest::Digest;

pub(in crate::run) async fn last_attempt(
    conn: &mut Conn,
    trigger_id: &str,
) -> Result<i64, db::Error> {
    let (attempt,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT COALESCE(MAX(attempt), 0) FROM run WHERE trigger_id = $1",
        trigger_id
    )?;
    Ok(attempt)
}

/// The project's next run number, gap-free: given back when the transaction fails.
pub(in crate::run) async fn next_number(
    conn: &mut Conn,
    project_id: &str,
) -> Result<i64, db::Error> {
    let (number,) = crate::fetch_one!(
        conn,
        (i64,),
        "UPDATE project SET run_number = run_number + 1 WHERE id = $1 RETURNING run_number",
        project_id
    )?;
    Ok(number)
}

/// How a new run begins.
pub(in crate::run) enum Outcome {
    Waiting {
        plan: String,
        warnings: Option<String>,
    },
    Invalid {
        complaints: String,
    },
    Refused {
        why: String,
    },
}

impl Outcome {
    pub(in crate::run) fn word(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Invalid { .. } => "invalid",
            Self::Refused { .. } => "refused",
        }
    }
}

pub(in crate::run) struct NewRun<'a> {
    pub(in crate::run) id: &'a RunId,
    pub(in crate::run) number: i64,
    pub(in crate::run) attempt: i64,
    pub(in crate::run) wish: Option<&'a Wish>,
    pub(in crate::run) start: &'a Start,
    pub(in crate::run) info: &'a CommitInfo,
    pub(in crate::run) settings_version: i64,
    pub(in crate::run) pipeline_path: &'a str,
    pub(in crate::run) pipeline_digest: Option<&'a Digest>,
    pub(in crate::run) source: Option<(Digest, u64)>,
    pub(in crate::run) outcome: Outcome,
}

pub(in crate::run) async fn insert(
    conn: &mut Conn,
    new: NewRun<'_>,
    now: At,
) -> Result<(), db::Error> {
    let state = new.outcome.word();
    let (plan, warnings, complaints, cause) = match new.outcome {
        Outcome::Waiting { plan, warnings } => (Some(plan), warnings, None, None),
        Outcome::Invalid { complaints } => (None, None, Some(complaints), None),
        Outcome::Refused { why } => (None, None, None, Some(Cause::Refused { why })),
    };
    let finished_at = plan.is_none().then_some(now.0);
    let (digest, bytes) = new.source.unzip();
    crate::execute!(
        conn,
        "INSERT INTO run (id, project_id, number, trigger_id, attempt, again_of_id, ref_name, commit_id,
             commit_title, commit_time, author_name, author_email, committer_email, pusher_id, trust,
             settings_version, pipeline_path, pipeline_digest, plan, complaints, source_digest,
             source_bytes, state, cause, cause_detail, created_at, finished_at, warnings, wish_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)",
        new.id.as_str(),
        &new.start.project_id,
        new.number,
        &new.start.trigger_id,
        new.attempt,
        new.wish.map(|wish| wish.of.as_str()),
        &new.start.ref_name,
        new.start.commit.as_str(),
        &new.info.title,
        new.info.time,
        &new.info.author_name,
        &new.info.author_email,
        &new.info.committer_email,
        &new.start.pusher_id,
        &new.start.trust,
        new.settings_version,
        new.pipeline_path,
        new.pipeline_digest.map(ToString::to_string),
        plan,
        complaints,
        digest.map(|digest| digest.to_string()),
        bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        state,
        cause.as_ref().map(Cause::word),
        cause.as_ref().and_then(Cause::detail),
        now.0,
        finished_at,
        warnings,
        new.wish.map(|wish| wish.id.as_str())
    )?;
    Ok(())
}
