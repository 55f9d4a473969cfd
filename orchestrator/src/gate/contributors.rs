//! Who worked on what a release brings, and the commits themselves: read from the mirror before a gate is asked, with no transaction
//! open, and kept. Commits never change, so what was read once holds for ever; when another release
//! enters the environment meanwhile, the difference is another one and is read anew.

use super::state::GateError;
use super::store;
use crate::ground::Ground;
use crate::reconcile::Progress;
use crate::source::{Contribution, Mirrors};
use contract::digest::CommitId;

/// A run's commit on its way into an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entering {
    /// The project's id.
    pub project_id: String,
    /// Where its repository is.
    pub git: String,
    /// The run.
    pub run_id: String,
    /// The commit that the environment holds; empty when it holds nothing.
    pub base: String,
}

/// Reads who worked on what enters, unless it is known.
pub async fn learn(
    ground: &Ground,
    mirrors: &Mirrors,
    entering: Entering,
) -> Result<Progress, GateError> {
    let Entering {
        project_id: project,
        git,
        run_id,
        base,
    } = entering;
    let missing = |what| GateError::NoRun {
        what,
        run_id: run_id.clone(),
    };
    let head = {
        let mut conn = ground.db.reader().await?;
        let run = store::run_facts(&mut conn, &run_id).await?;
        let head = run.ok_or_else(|| missing("the run"))?.commit_id;
        let known = store::contribution(&mut conn, &project, &base, &head).await?;
        if known.is_some() {
            return Ok(Progress::Idle);
        }
        head
    };
    let from = CommitId::parse(&base).ok();
    let to = CommitId::parse(&head).map_err(|_| missing("a commit"))?;
    let read = || mirrors.contribution(&project, from.as_ref(), &to);
    let contribution = match read().await? {
        Some(found) => Some(found),
        None => {
            mirrors.fetch(&project, &git).await?;
            read().await?
        }
    };
    // A commit that is gone says nothing of who made it: not complete.
    let contribution = contribution.unwrap_or(Contribution {
        commits: 0,
        complete: false,
        people: Vec::new(),
        listed: Vec::new(),
    });
    let at = ground.now();
    ground
        .db
        .write("gate.learn", move |conn| {
            Box::pin(async move {
                let range = store::Range {
                    project_id: &project,
                    base: &base,
                    head: &head,
                };
                if !store::insert_contribution(conn, range, &contribution, at).await? {
                    return Ok(Progress::Idle);
                }
                for person in &contribution.people {
                    store::insert_contributor(conn, range, person).await?;
                }
                for (place, commit) in contribution.listed.iter().enumerate() {
                    store::insert_commit(conn, range, place, commit).await?;
                }
                Ok::<_, GateError>(Progress::Moved)
            })
        })
        .await
}
