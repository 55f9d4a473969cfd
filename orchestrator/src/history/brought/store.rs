//! All SQL of what a promotion brings.

use crate::db::{Conn, Error};

/// What an environment held.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Before {
    /// The release.
    pub release_id: String,
    /// The commit that it was built from.
    pub commit_id: String,
    /// The number of its run.
    pub run_number: i64,
}

/// What a promotion's environment held when it ended, or holds now if it has not; none when that was
/// nothing.
pub async fn before(conn: &mut Conn, promotion_id: &str) -> Result<Option<Before>, Error> {
    // The same that its gate judges against: after a promotion that was given up that may be nothing.
    let now = crate::fetch_optional!(
        conn,
        Before,
        "SELECT l.id AS release_id, r.commit_id, r.number AS run_number
         FROM promotion mine
             JOIN environment_release e
                 ON e.project_id = mine.project_id AND e.environment = mine.environment
             JOIN release l ON l.id = e.release_id JOIN run r ON r.id = l.run_id
         WHERE mine.id = $1 AND mine.ended_at IS NULL",
        promotion_id
    )?;
    if now.is_some() {
        return Ok(now);
    }
    crate::fetch_optional!(
        conn,
        Before,
        "SELECT l.id AS release_id, r.commit_id, r.number AS run_number
         FROM promotion mine
             JOIN promotion p ON p.project_id = mine.project_id AND p.environment = mine.environment
             JOIN release l ON l.id = p.release_id JOIN run r ON r.id = l.run_id
         WHERE mine.id = $1 AND p.id <> mine.id AND p.state = 'applied'
           AND p.applied_at < mine.ended_at
         ORDER BY p.applied_at DESC, p.id DESC LIMIT 1",
        promotion_id
    )
}

/// How many commits lie between the two (from the first one on when the base is empty), and 1 when these
/// are all; none when nobody has looked yet.
pub async fn counted(
    conn: &mut Conn,
    project_id: &str,
    base: &str,
    head: &str,
) -> Result<Option<(i64, i64)>, Error> {
    crate::fetch_optional!(
        conn,
        (i64, i64),
        "SELECT commits, complete FROM contribution
         WHERE project_id = $1 AND base_id = $2 AND head_id = $3",
        project_id,
        base,
        head
    )
}

/// A commit, as it says itself, and the people to whom its addresses belong.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Commit {
    /// The commit.
    pub commit_id: String,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it, as it says.
    pub author_name: String,
    /// Who committed it, as it says.
    pub committer_name: String,
    /// The name of the person who has the author's address.
    pub author: Option<String>,
    /// The name of the person who has the committer's address.
    pub committer: Option<String>,
    /// The committer's time (seconds since 1970 UTC).
    pub commit_time: i64,
}

/// The commits between the two, newest first.
pub async fn commits(
    conn: &mut Conn,
    project_id: &str,
    base: &str,
    head: &str,
) -> Result<Vec<Commit>, Error> {
    crate::fetch_all!(
        conn,
        Commit,
        "SELECT c.commit_id, c.title, c.author_name, c.committer_name, a.display_name AS author,
                k.display_name AS committer, c.commit_time
         FROM contribution_commit c
             LEFT JOIN email ae ON ae.address = c.author_address AND ae.verified_at IS NOT NULL
             LEFT JOIN person a ON a.id = ae.person_id
             LEFT JOIN email ke ON ke.address = c.committer_address AND ke.verified_at IS NOT NULL
             LEFT JOIN person k ON k.id = ke.person_id
         WHERE c.project_id = $1 AND c.base_id = $2 AND c.head_id = $3 ORDER BY c.place LIMIT 1000",
        project_id,
        base,
        head
    )
}

/// Somebody who worked on one of them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Contributor {
    /// The name, as the commits say.
    pub name: String,
    /// 1: they wrote one.
    pub wrote: i64,
    /// 1: they committed one.
    pub committed: i64,
    /// The name of the person who has the address; none: it maps to nobody here.
    pub person: Option<String>,
}

/// Everybody who worked on the commits between the two; who maps to nobody comes first.
pub async fn contributors(
    conn: &mut Conn,
    project_id: &str,
    base: &str,
    head: &str,
) -> Result<Vec<Contributor>, Error> {
    crate::fetch_all!(
        conn,
        Contributor,
        "SELECT c.name, c.wrote, c.committed, p.display_name AS person
         FROM contributor c
             LEFT JOIN email e ON e.address = c.address AND e.verified_at IS NOT NULL
             LEFT JOIN person p ON p.id = e.person_id
         WHERE c.project_id = $1 AND c.base_id = $2 AND c.head_id = $3
         ORDER BY CASE WHEN p.id IS NULL THEN 0 ELSE 1 END, c.address LIMIT 2000",
        project_id,
        base,
        head
    )
}
