//! Reads who may fill the seats of a subject's gate, and who not.

use super::editors::editors;
use super::seats::{Candidate, Commits, Exclusion, Seats};
use super::state::{GateError, Requester, Subject};
use super::store::{self, ContributorRow, RunFacts};
use crate::db::Conn;
use crate::identity::{self, Role};
use std::collections::BTreeSet;

/// Contributors who map to nobody and are named; the rest is counted.
const NAMED_MAX: usize = 3;

/// Who had a part in it.
#[derive(Default)]
struct Involved {
    /// Ids of people, and which part.
    excluded: BTreeSet<(String, Exclusion)>,
    /// Why one more approval is wanted.
    one_more: Vec<String>,
}

impl Involved {
    fn exclude(&mut self, person: impl Into<String>, why: Exclusion) {
        self.excluded.insert((person.into(), why));
    }
}

/// Who may answer, and how many have to: a part of the evidence by itself.
pub async fn seats_now(conn: &mut Conn, subject: &Subject) -> Result<Seats, GateError> {
    let run = store::run_facts(conn, &subject.release.run_id).await?;
    let run = run.ok_or_else(|| GateError::Missing {
        what: "the run",
        promotion_id: subject.promotion_id.clone(),
    })?;
    seats(conn, subject, &run).await
}

/// The seats as they stand now.
pub(super) async fn seats(
    conn: &mut Conn,
    subject: &Subject,
    run: &RunFacts,
) -> Result<Seats, GateError> {
    // One rule is judged as it stands; several rules ask for the people of the first and as many
    // more as the others want, which settings' check keeps to one role.
    let rules = &subject.environment.gate.approvals;
    let Some(first) = rules.first() else {
        return Ok(Seats::default());
    };
    let mut involved = Involved::default();
    let commits = contributors(conn, subject, run, &mut involved).await?;
    triggerers(run, &mut involved);
    match &subject.requester {
        Requester::Rule => {}
        Requester::Person(person) => involved.exclude(person.as_str(), Exclusion::Requester),
        Requester::Unmatched(who) => involved
            .one_more
            .push(format!("{who} requested it and maps to nobody here")),
    }
    gate_editors(conn, subject, &mut involved).await?;
    let mut not_also = Vec::new();
    for role in rules.iter().flat_map(|rule| &rule.not_also) {
        if let Some(role) = Role::parse(role.as_str()) {
            let people = identity::people_with_role(conn, role, &subject.project_id).await?;
            not_also.extend(people.into_iter().map(|person| person.id));
        }
    }
    for person in not_also {
        involved.exclude(person, Exclusion::NotAlso);
    }
    let candidates = candidates(conn, subject, &involved).await?;
    Ok(Seats {
        role: Some(first.from.to_string()),
        wanted: rules.iter().map(|rule| rule.count).sum(),
        expires_ms: rules.iter().map(|rule| rule.expires_ms).min().unwrap_or(0),
        candidates,
        one_more: involved.one_more,
        commits,
    })
}

/// Whoever pushed it, and whoever ran it again.
fn triggerers(run: &RunFacts, involved: &mut Involved) {
    match &run.pusher_id {
        Some(pusher) => involved.exclude(pusher, Exclusion::Triggerer),
        None => involved
            .one_more
            .push("whoever pushed it maps to nobody here".to_owned()),
    }
    if run.again_of_id.is_none() {
        return;
    }
    match &run.wished_by_id {
        Some(person) => involved.exclude(person, Exclusion::Triggerer),
        None => {
            let who = run.wished_by.as_deref().unwrap_or("whoever did");
            let why = format!("{who} ran it again and maps to nobody here");
            involved.one_more.push(why);
        }
    }
}

async fn candidates(
    conn: &mut Conn,
    subject: &Subject,
    involved: &Involved,
) -> Result<Vec<Candidate>, GateError> {
    let holders =
        identity::people_with_role(conn, Role::ReleaseManager, &subject.project_id).await?;
    let mut candidates = Vec::with_capacity(holders.len());
    for holder in holders {
        let parts = involved.excluded.iter().filter(|(id, _)| *id == holder.id);
        candidates.push(Candidate {
            person: holder.person_id()?,
            exclusions: parts.map(|(_, why)| *why).collect(),
            display_name: holder.display_name,
        });
    }
    Ok(candidates)
}

/// Authors and committers of all that comes in, and in any case those of the commit itself: going back
/// to an older one brings no commits, but it is theirs.
async fn contributors(
    conn: &mut Conn,
    subject: &Subject,
    run: &RunFacts,
    involved: &mut Involved,
) -> Result<Commits, GateError> {
    let (project, base, head) = (&subject.project_id, subject.base(), &run.commit_id);
    let commits = match store::contribution(conn, project, base, head).await? {
        None => Commits::NotRead,
        Some((count, complete)) => Commits::Read { count, complete },
    };
    if let Commits::Read {
        complete: false, ..
    } = commits
    {
        involved
            .one_more
            .push("not all commits that come in could be read".to_owned());
    }
    let mut people = store::contributors(conn, project, base, head).await?;
    let (author, committer) = (&run.author_email, &run.committer_email);
    for (email, name, wrote) in [(author, &run.author_name, 1), (committer, committer, 0)] {
        let address = identity::normal_address(email);
        match people.iter_mut().find(|known| known.address == address) {
            Some(known) if wrote == 1 => known.wrote = 1,
            Some(known) => known.committed = 1,
            None => {
                let person = identity::person_by_email(conn, &address).await?;
                people.push(ContributorRow {
                    address,
                    name: name.clone(),
                    wrote,
                    committed: 1 - wrote,
                    person_id: person.map(|person| person.id),
                });
            }
        }
    }
    let mut nobodies = Vec::new();
    for person in people {
        let Some(id) = person.person_id else {
            let part = if person.wrote == 1 {
                "author"
            } else {
                "committer"
            };
            nobodies.push(format!("{part} {}", person.name));
            continue;
        };
        if person.wrote == 1 {
            involved.exclude(&id, Exclusion::Author);
        }
        if person.committed == 1 {
            involved.exclude(&id, Exclusion::Committer);
        }
    }
    involved.one_more.extend(nobodies_in_words(&nobodies));
    Ok(commits)
}

fn nobodies_in_words(nobodies: &[String]) -> Option<String> {
    let named = nobodies.get(..NAMED_MAX).unwrap_or(nobodies);
    let verb = match nobodies.len() {
        0 => return None,
        1 => "maps",
        _ => "map",
    };
    let more = match nobodies.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{}{more} {verb} to nobody here", named.join(", ")))
}

async fn gate_editors(
    conn: &mut Conn,
    subject: &Subject,
    involved: &mut Involved,
) -> Result<(), GateError> {
    let editors = editors(conn, subject).await?;
    for person in editors.people {
        involved.exclude(person, Exclusion::GateEditor);
    }
    for who in editors.nobodies {
        involved
            .one_more
            .push(format!("{who} edited this gate and maps to nobody here"));
    }
    if !editors.complete {
        let why =
            "not all versions of the settings could be looked through for who edited this gate";
        involved.one_more.push(why.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_maps_to_nobody_is_named_up_to_a_number() {
        let names =
            |count: usize| -> Vec<String> { (0..count).map(|n| format!("author {n}")).collect() };
        let words = |count| nobodies_in_words(&names(count));
        assert_eq!(words(0), None);
        assert_eq!(words(1).unwrap(), "author 0 maps to nobody here");
        assert_eq!(words(2).unwrap(), "author 0, author 1 map to nobody here");
        let five = "author 0, author 1, author 2 and 2 more map to nobody here";
        assert_eq!(words(5).unwrap(), five);
    }
}
