//! Who worked on what a release brings: read from the mirror before a gate is asked, with no transaction
//! open, and kept. Commits never change, so what was read once holds for ever; when another release
//! enters the environment meanwhile, the difference is another one and is read anew.

use super::state::{GateError, Subject};
use super::store;
use crate::ground::Ground;
use crate::reconcile::Progress;
use crate::source::{Contribution, Mirrors};
use contract::digest::CommitId;

/// Reads who worked on a subject's commits, when a gate with approvals will ask and it is not known.
pub async fn learn(
    ground: &Ground,
    mirrors: &Mirrors,
    subject: &Subject,
) -> Result<Progress, GateError> {
    if subject.environment.gate.approvals.is_empty() {
        return Ok(Progress::Idle);
    }
    let missing = |what| GateError::Missing {
        what,
        promotion_id: subject.promotion_id.clone(),
    };
    let project = subject.project_id.clone();
    let (base, head) = {
        let mut conn = ground.db.reader().await?;
        let run = store::run_facts(&mut conn, &subject.release.run_id).await?;
        let head = run.ok_or_else(|| missing("the run"))?.commit_id;
        let base = subject.base().to_owned();
        if store::contribution(&mut conn, &project, &base, &head)
            .await?
            .is_some()
        {
            return Ok(Progress::Idle);
        }
        (base, head)
    };
    let from = CommitId::parse(&base).ok();
    let to = CommitId::parse(&head).map_err(|_| missing("a commit"))?;
    let read = || mirrors.contribution(&project, from.as_ref(), &to);
    let contribution = match read().await? {
        Some(found) => Some(found),
        None => {
            mirrors.fetch(&project, &subject.settings.git).await?;
            read().await?
        }
    };
    // A commit that is gone says nothing of who made it: not complete.
    let contribution = contribution.unwrap_or(Contribution {
        commits: 0,
        complete: false,
        people: Vec::new(),
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
                Ok::<_, GateError>(Progress::Moved)
            })
        })
        .await
}
