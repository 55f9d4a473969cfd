//! The commits that come in with a release, and who counts as having worked on them.

use super::super::{Copied, Look, PageError, Status, When};
use crate::clock::At;
use crate::db::Conn;
use crate::history::brought::{self, Before, Commit, Contributor};
use crate::promotion::Promotion;
use crate::run::Run;

/// Commits that are shown at once; the others are folded.
const OPEN_MAX: usize = 10;
/// Contributors that are shown at once.
const PEOPLE_MAX: usize = 10;

/// One commit.
pub(super) struct Line {
    pub(super) title: String,
    pub(super) commit: Copied,
    pub(super) by: String,
    pub(super) when: When,
}

/// Somebody who worked on them.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) part: &'static str,
    pub(super) status: Status,
    pub(super) why: String,
}

/// What comes in. None of it is known before the repository was read.
pub(super) struct Commits {
    /// How many, in words.
    pub(super) counted: String,
    pub(super) open: Vec<Line>,
    pub(super) folded: Vec<Line>,
    /// Older ones that are only counted.
    pub(super) more: usize,
    pub(super) people: Vec<Person>,
    pub(super) more_people: Vec<Person>,
}

/// The commits from what the environment held to the promotion's own.
pub(super) async fn commits(
    conn: &mut Conn,
    promotion: &Promotion,
    run: &Run,
    before: Option<&Before>,
    now: At,
) -> Result<Option<Commits>, PageError> {
    let project = promotion.project_id.as_str();
    let base = before.map_or("", |before| before.commit_id.as_str());
    let head = run.commit.as_str();
    let counted = brought::counted(conn, project, base, head).await;
    let Some((count, complete)) = counted.map_err(PageError::log)? else {
        return Ok(None);
    };
    let listed = brought::commits(conn, project, base, head).await;
    let listed = listed.map_err(PageError::log)?;
    let people = brought::contributors(conn, project, base, head).await;
    let people = people.map_err(PageError::log)?;
    let count = usize::try_from(count).unwrap_or(0);
    let more = count.saturating_sub(listed.len());
    let mut open: Vec<Line> = listed.into_iter().map(|one| line(one, now)).collect();
    let folded = open.split_off(open.len().min(OPEN_MAX));
    let mut people: Vec<Person> = people.into_iter().map(person).collect();
    let more_people = people.split_off(people.len().min(PEOPLE_MAX));
    Ok(Some(Commits {
        counted: counted_in_words(count, complete == 1),
        open,
        folded,
        more,
        people,
        more_people,
    }))
}

fn counted_in_words(count: usize, complete: bool) -> String {
    match (count, complete) {
        (_, false) => format!("{count} could be read, there are more"),
        (1, true) => "1 comes in".to_owned(),
        (count, true) => format!("{count} come in"),
    }
}

fn line(one: Commit, now: At) -> Line {
    let author = one.author.unwrap_or(one.author_name);
    let committer = one.committer.unwrap_or(one.committer_name);
    Line {
        by: if author == committer {
            author
        } else {
            format!("{author}, committed by {committer}")
        },
        title: if one.title.is_empty() {
            "No subject".to_owned()
        } else {
            one.title
        },
        commit: Copied::new("commit", one.commit_id),
        when: When::micros(one.commit_time.saturating_mul(1_000_000), now),
    }
}

fn person(one: Contributor) -> Person {
    let part = match (one.wrote, one.committed) {
        (1, 1) => "wrote and committed",
        (1, _) => "wrote",
        _ => "committed",
    };
    match one.person {
        Some(person) => Person {
            why: if person == one.name {
                "Cannot approve this release".to_owned()
            } else {
                format!("“{}” in the commits; cannot approve this release", one.name)
            },
            name: person,
            part,
            status: Status::new(Look::Idle, "refuse", "Counts as contributor"),
        },
        None => Person {
            why: "Maps to nobody here, so one more approval is asked for".to_owned(),
            name: one.name,
            part,
            status: Status::new(Look::Wait, "unmet", "Not matched"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_maps_to_nobody_is_told_apart_from_who_does() {
        let of = |name: &str, wrote, committed, known: Option<&str>| {
            let one = person(Contributor {
                name: name.to_owned(),
                wrote,
                committed,
                person: known.map(str::to_owned),
            });
            format!("{} {}: {}", one.name, one.part, one.why)
        };
        let known = of("mara", 1, 0, Some("Mara Lindqvist"));
        assert_eq!(
            known,
            "Mara Lindqvist wrote: “mara” in the commits; cannot approve this release"
        );
        let same = of("Mara", 0, 1, Some("Mara"));
        assert_eq!(same, "Mara committed: Cannot approve this release");
        let stranger = of("bot", 1, 1, None);
        assert_eq!(
            stranger,
            "bot wrote and committed: Maps to nobody here, so one more approval is asked for"
        );
    }

    #[test]
    fn not_all_commits_is_never_told_as_all() {
        assert_eq!(counted_in_words(1, true), "1 comes in");
        assert_eq!(counted_in_words(0, true), "0 come in");
        assert_eq!(
            counted_in_words(20_000, false),
            "20000 could be read, there are more"
        );
    }
}
