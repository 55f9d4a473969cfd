//! All SQL of gate decisions, and what a gate reads of earlier rooms.

use super::state::Condition;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::source::{Contribution, Contributor, ListedCommit};
use evidence::decision::Decision;

/// What a gate wants to know of a run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct RunFacts {
    pub(super) number: i64,
    pub(super) state: String,
    pub(super) cause: Option<String>,
    pub(super) finished_at: Option<i64>,
    pub(super) author_name: String,
    pub(super) author_email: String,
    pub(super) committer_email: String,
    pub(super) pusher_id: Option<String>,
    pub(super) commit_id: String,
    /// The run that it repeats.
    pub(super) again_of_id: Option<String>,
    /// Who wished for that, as stored; none for those from before it was kept.
    pub(super) wished_by: Option<String>,
    /// The person, when it can be matched to one.
    pub(super) wished_by_id: Option<String>,
}

pub(super) async fn run_facts(conn: &mut Conn, run_id: &str) -> Result<Option<RunFacts>, Error> {
    crate::fetch_optional!(
        conn,
        RunFacts,
        "SELECT r.number, r.state, r.cause, r.finished_at, r.author_name, r.author_email,
                r.committer_email, r.pusher_id, r.commit_id, r.again_of_id, w.wished_by, w.wished_by_id
         FROM run r LEFT JOIN run_wish w ON w.id = r.wish_id WHERE r.id = $1",
        run_id
    )
}

/// How far what is stated and signed about an image has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Published {
    /// Since when its provenance is published; none: it is not.
    pub(super) provenance_at: Option<i64>,
    /// Since when its signature in quarantine is.
    pub(super) signature_at: Option<i64>,
    /// What hinders one of these, or a statement before them.
    pub(super) problem: Option<String>,
}

/// How far an image's statements have come, and its signature in quarantine.
pub(super) async fn published(conn: &mut Conn, image_id: &str) -> Result<Published, Error> {
    let provenance = crate::fetch_optional!(
        conn,
        (Option<i64>,),
        "SELECT published_at FROM attestation WHERE image_id = $1 AND kind = 'provenance'",
        image_id
    )?;
    let signature = crate::fetch_optional!(
        conn,
        (Option<i64>,),
        "SELECT published_at FROM signature WHERE image_id = $1 AND promotion_id IS NULL",
        image_id
    )?;
    // The signature waits for every statement, the bill of materials among them.
    let problem = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT problem FROM attestation WHERE image_id = $1 AND problem IS NOT NULL
         UNION ALL
         SELECT problem FROM signature
         WHERE image_id = $1 AND promotion_id IS NULL AND problem IS NOT NULL
         LIMIT 1",
        image_id
    )?;
    Ok(Published {
        provenance_at: provenance.and_then(|(at,)| at),
        signature_at: signature.and_then(|(at,)| at),
        problem: problem.map(|(problem,)| problem),
    })
}

/// From what an environment holds (empty: nothing) to what is to enter it.
#[derive(Clone, Copy)]
pub(super) struct Range<'a> {
    pub(super) project_id: &'a str,
    pub(super) base: &'a str,
    pub(super) head: &'a str,
}

/// False when another pass was faster.
pub(super) async fn insert_contribution(
    conn: &mut Conn,
    range: Range<'_>,
    contribution: &Contribution,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO contribution (project_id, base_id, head_id, commits, complete, read_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, base_id, head_id) DO NOTHING",
        range.project_id,
        range.base,
        range.head,
        i64::try_from(contribution.commits).unwrap_or(i64::MAX),
        i64::from(contribution.complete),
        at.0
    )?;
    Ok(inserted == 1)
}

pub(super) async fn insert_contributor(
    conn: &mut Conn,
    range: Range<'_>,
    person: &Contributor,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO contributor (project_id, base_id, head_id, address, name, wrote, committed)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        range.project_id,
        range.base,
        range.head,
        &person.address,
        &person.name,
        i64::from(person.wrote),
        i64::from(person.committed)
    )?;
    Ok(())
}

/// `place` counts from the newest on.
pub(super) async fn insert_commit(
    conn: &mut Conn,
    range: Range<'_>,
    place: usize,
    commit: &ListedCommit,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO contribution_commit (project_id, base_id, head_id, place, commit_id, title,
                                          author_name, author_address, committer_name,
                                          committer_address, commit_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        range.project_id,
        range.base,
        range.head,
        i64::try_from(place).unwrap_or(i64::MAX),
        &commit.id,
        &commit.title,
        &commit.author.name,
        &commit.author.address,
        &commit.committer.name,
        &commit.committer.address,
        commit.time
    )?;
    Ok(())
}

/// How many commits were read, and whether these are all; none when they were not read yet.
pub(super) async fn contribution(
    conn: &mut Conn,
    project_id: &str,
    base: &str,
    head: &str,
) -> Result<Option<(i64, bool)>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (i64, i64),
        "SELECT commits, complete FROM contribution
         WHERE project_id = $1 AND base_id = $2 AND head_id = $3",
        project_id,
        base,
        head
    )?;
    Ok(row.map(|(commits, complete)| (commits, complete == 1)))
}

/// Somebody who worked on a commit, and the person to whom the address belongs.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ContributorRow {
    pub(super) address: String,
    pub(super) name: String,
    pub(super) wrote: i64,
    pub(super) committed: i64,
    pub(super) person_id: Option<String>,
}

pub(super) async fn contributors(
    conn: &mut Conn,
    project_id: &str,
    base: &str,
    head: &str,
) -> Result<Vec<ContributorRow>, Error> {
    crate::fetch_all!(
        conn,
        ContributorRow,
        "SELECT c.address, c.name, c.wrote, c.committed, e.person_id
         FROM contributor c
         LEFT JOIN email e ON e.address = c.address AND e.verified_at IS NOT NULL
         WHERE c.project_id = $1 AND c.base_id = $2 AND c.head_id = $3 ORDER BY c.address",
        project_id,
        base,
        head
    )
}

/// A decision that lets through, with what it was made of.
pub(super) struct DecisionRow<'a> {
    pub(super) id: &'a str,
    pub(super) project_id: &'a str,
    pub(super) promotion_id: &'a str,
    pub(super) release_id: &'a str,
    pub(super) environment: &'a str,
    pub(super) settings_version: i64,
    pub(super) conditions: &'a str,
    pub(super) evidence_digest: &'a str,
    pub(super) decision: &'a str,
    pub(super) decided_at: At,
}

pub(super) async fn insert_open(conn: &mut Conn, row: DecisionRow<'_>) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO gate_decision (id, project_id, promotion_id, release_id, environment,
                                    settings_version, outcome, conditions, evidence_digest, decision,
                                    decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $10)",
        row.id,
        row.project_id,
        row.promotion_id,
        row.release_id,
        row.environment,
        row.settings_version,
        row.conditions,
        row.evidence_digest,
        row.decision,
        row.decided_at.0
    )?;
    Ok(())
}

/// A decision as it leaves the server.
pub async fn decision(conn: &mut Conn, id: &str) -> Result<Option<Decision>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT decision FROM gate_decision WHERE id = $1",
        id
    )?;
    let wrong = || Error::Inconsistent {
        table: "gate_decision",
        column: "decision",
        id: id.to_owned(),
    };
    row.map(|(text,)| serde_json::from_str(&text).map_err(|_| wrong()))
        .transpose()
}

/// The conditions as they were when a decision let through.
pub async fn conditions(conn: &mut Conn, id: &str) -> Result<Option<Vec<Condition>>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT conditions FROM gate_decision WHERE id = $1",
        id
    )?;
    let wrong = || Error::Inconsistent {
        table: "gate_decision",
        column: "conditions",
        id: id.to_owned(),
    };
    row.map(|(text,)| serde_json::from_str(&text).map_err(|_| wrong()))
        .transpose()
}
