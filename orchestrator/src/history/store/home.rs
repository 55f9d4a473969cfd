//! All SQL of the page that shows how everything is.

use crate::clock::At;
use crate::db::{Conn, Error};
use crate::identity::Reach;

/// A run of any project, as home shows it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunRow {
    /// The project's name.
    pub project: String,
    /// Its number.
    pub number: i64,
    /// The ref.
    pub ref_name: String,
    /// The commit's first line.
    pub commit_title: String,
    /// Who wrote it.
    pub author_name: String,
    /// Where it stands.
    pub state: String,
    /// Why it ended.
    pub cause: Option<String>,
    /// In words.
    pub cause_detail: Option<String>,
    /// When it was made (µs since 1970 UTC).
    pub created_at: i64,
    /// When its first step was leased.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Its steps.
    pub steps: i64,
    /// Those that have ended.
    pub steps_done: i64,
    /// A step that is worked on.
    pub step: Option<String>,
}

/// What runs or waits to run now, newest first.
pub async fn running(conn: &mut Conn, reach: &Reach, limit: i64) -> Result<Vec<RunRow>, Error> {
    crate::fetch_all!(
        conn,
        RunRow,
        "SELECT p.name AS project, r.number, r.ref_name, r.commit_title, r.author_name, r.state, r.cause,
                r.cause_detail, r.created_at, r.started_at, r.finished_at,
                (SELECT COUNT(*) FROM step s WHERE s.run_id = r.id) AS steps,
                (SELECT COUNT(*) FROM step s WHERE s.run_id = r.id
                   AND s.state IN ('finished', 'skipped')) AS steps_done,
                (SELECT MIN(s.name) FROM step s WHERE s.run_id = r.id
                   AND s.state IN ('leased', 'reported')) AS step
         FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.state IN ('waiting', 'running')
           AND ($1 = '*' OR $1 LIKE '% ' || r.project_id || ' %')
         ORDER BY r.created_at DESC, r.id DESC LIMIT $2",
        reach.sql(),
        limit
    )
}

/// What ended otherwise than well since then, newest first. What somebody ended, or a newer run
/// replaced, is no failure.
pub async fn failed(
    conn: &mut Conn,
    reach: &Reach,
    since: At,
    limit: i64,
) -> Result<Vec<RunRow>, Error> {
    crate::fetch_all!(
        conn,
        RunRow,
        "SELECT p.name AS project, r.number, r.ref_name, r.commit_title, r.author_name, r.state, r.cause,
                r.cause_detail, r.created_at, r.started_at, r.finished_at,
                CAST(0 AS BIGINT) AS steps, CAST(0 AS BIGINT) AS steps_done, NULL AS step
         FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.state IN ('finished', 'invalid', 'refused')
           AND COALESCE(r.cause, 'invalid') NOT IN ('passed', 'cancelled', 'superseded')
           AND r.created_at >= $3 AND ($1 = '*' OR $1 LIKE '% ' || r.project_id || ' %')
         ORDER BY r.created_at DESC, r.id DESC LIMIT $2",
        reach.sql(),
        limit,
        since.0
    )
}

/// What an environment of any project holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EnvironmentRow {
    /// The project's id.
    pub project_id: String,
    /// The environment.
    pub environment: String,
    /// The run that its release came from.
    pub run_number: i64,
    /// That run's id.
    pub run_id: String,
    /// Its commit.
    pub commit_id: String,
    /// The commit's first line.
    pub commit_title: String,
    /// Since when (µs since 1970 UTC).
    pub since_at: i64,
}

/// What the environments hold.
pub async fn environments(conn: &mut Conn, reach: &Reach) -> Result<Vec<EnvironmentRow>, Error> {
    crate::fetch_all!(
        conn,
        EnvironmentRow,
        "SELECT e.project_id, e.environment, r.number AS run_number, r.id AS run_id, r.commit_id,
                r.commit_title, e.since_at
         FROM environment_release e JOIN release l ON l.id = e.release_id
             JOIN run r ON r.id = l.run_id
         WHERE $1 = '*' OR $1 LIKE '% ' || e.project_id || ' %'
         ORDER BY e.project_id, e.environment LIMIT 1000",
        reach.sql()
    )
}

/// How many findings of one severity stand open in what an environment holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OpenRow {
    /// The project's id.
    pub project_id: String,
    /// The environment.
    pub environment: String,
    /// How bad, in the stored word.
    pub severity: String,
    /// How many.
    pub open: i64,
}

/// What stands open in what the environments hold.
pub async fn open_in_environments(conn: &mut Conn, reach: &Reach) -> Result<Vec<OpenRow>, Error> {
    crate::fetch_all!(
        conn,
        OpenRow,
        "SELECT e.project_id, e.environment, f.severity, COUNT(*) AS open
         FROM environment_release e JOIN release l ON l.id = e.release_id
             JOIN finding f ON f.run_id = l.run_id AND f.gone_at IS NULL
             JOIN step s ON s.id = f.step_id AND s.fence = f.fence
         WHERE $1 = '*' OR $1 LIKE '% ' || e.project_id || ' %'
         GROUP BY e.project_id, e.environment, f.severity",
        reach.sql()
    )
}

/// The run that a release came from.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReleaseRun {
    /// Its number.
    pub number: i64,
    /// Its commit.
    pub commit_id: String,
    /// The commit's first line.
    pub commit_title: String,
}

/// The run that a release came from.
pub async fn run_of_release(
    conn: &mut Conn,
    release_id: &str,
) -> Result<Option<ReleaseRun>, Error> {
    crate::fetch_optional!(
        conn,
        ReleaseRun,
        "SELECT r.number, r.commit_id, r.commit_title
         FROM release l JOIN run r ON r.id = l.run_id WHERE l.id = $1",
        release_id
    )
}

/// A step that a worker works on.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LeaseRow {
    /// The worker.
    pub worker_id: String,
    /// The project's id.
    pub project_id: String,
    /// The project's name.
    pub project: String,
    /// The run.
    pub run_number: i64,
    /// The step.
    pub step: String,
    /// Since when (µs since 1970 UTC).
    pub leased_at: i64,
}

/// What workers work on now, of all projects: whose they are, the caller checks before it tells.
pub async fn leases(conn: &mut Conn) -> Result<Vec<LeaseRow>, Error> {
    crate::fetch_all!(
        conn,
        LeaseRow,
        "SELECT s.worker_id, s.project_id, p.name AS project, r.number AS run_number, s.name AS step,
                COALESCE(s.leased_at, 0) AS leased_at
         FROM step s JOIN run r ON r.id = s.run_id JOIN project p ON p.id = s.project_id
         WHERE s.state = 'leased' ORDER BY s.leased_at, s.id LIMIT 1000"
    )
}
