//! All SQL of lists of findings.

use crate::db::{Conn, Error};
use crate::finding::Severity;

/// What is wanted of a run's findings. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// At or above this; what nobody has judged counts at every threshold.
    pub severity: Option<Severity>,
    /// By this tool.
    pub tool: Option<String>,
    /// Of this rule or advisory.
    pub rule: Option<String>,
    /// In this package.
    pub package: Option<String>,
    /// In this file.
    pub path: Option<String>,
}

/// A finding.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FindingRow {
    /// Its id.
    pub id: String,
    /// Its place by severity, the worst is 0.
    pub rank: i64,
    /// How bad, in the stored word.
    pub severity: String,
    /// The tool.
    pub tool: String,
    /// The rule or advisory.
    pub rule: String,
    /// One line.
    pub title: String,
    /// What the tool said.
    pub message: String,
    /// The file.
    pub path: Option<String>,
    /// The line, from 1.
    pub line: Option<i64>,
    /// The package.
    pub package: Option<String>,
    /// What is installed of it.
    pub package_version: Option<String>,
    /// The nearest version in which it is mended.
    pub fixed_in: Option<String>,
    /// Other ids of the same thing, between blanks.
    pub aliases: String,
    /// The same in every run in which the same thing is there.
    pub fingerprint: String,
    /// 1: the commit says that it does not matter, which opens no gate.
    pub suppressed: i64,
    /// The step that found it.
    pub step: String,
    /// The image that it is in; none: in the source.
    pub image: Option<String>,
    /// When it was seen first in any run of the project (µs since 1970 UTC).
    pub first_seen_at: i64,
}

/// What is wanted of a run's findings, worst first, from after this (rank, id).
pub async fn findings(
    conn: &mut Conn,
    run_id: &str,
    wanted: &Wanted,
    (rank, id): (i64, &str),
    limit: i64,
) -> Result<Vec<FindingRow>, Error> {
    crate::fetch_all!(
        conn,
        FindingRow,
        "SELECT f.id, f.rank, f.severity, f.tool, f.rule, f.title, f.message, f.path, f.line, f.package,
                f.package_version, f.fixed_in, f.aliases, f.fingerprint, f.suppressed, s.name AS step,
                i.name AS image,
                (SELECT MIN(g.found_at) FROM finding g WHERE g.project_id = f.project_id
                   AND g.fingerprint = f.fingerprint) AS first_seen_at
         FROM (SELECT x.*, CAST(CASE x.severity WHEN 'unknown' THEN 0 WHEN 'critical' THEN 1
                   WHEN 'high' THEN 2 WHEN 'medium' THEN 3 WHEN 'low' THEN 4 ELSE 5 END AS BIGINT) AS rank
               FROM finding x WHERE x.run_id = $1 AND x.gone_at IS NULL) f
             JOIN step s ON s.id = f.step_id AND s.fence = f.fence
             LEFT JOIN image i ON i.id = f.image_id
         WHERE (f.rank, f.id) > ($2, $3) AND f.rank <= $4
           AND ($5 IS NULL OR f.tool = $5) AND ($6 IS NULL OR f.rule = $6)
           AND ($7 IS NULL OR f.package = $7) AND ($8 IS NULL OR f.path = $8)
         ORDER BY f.rank, f.id LIMIT $9",
        run_id,
        rank,
        id,
        wanted.severity.map_or(i64::MAX, rank_of),
        wanted.tool.as_deref(),
        wanted.rule.as_deref(),
        wanted.package.as_deref(),
        wanted.path.as_deref(),
        limit
    )
}

fn rank_of(severity: Severity) -> i64 {
    match severity {
        Severity::Unknown => 0,
        Severity::Critical => 1,
        Severity::High => 2,
        Severity::Medium => 3,
        Severity::Low => 4,
    }
}

/// The tools that said something about a run, by name.
pub async fn choices(conn: &mut Conn, run_id: &str) -> Result<Vec<String>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String,),
        "SELECT DISTINCT tool FROM finding WHERE run_id = $1 ORDER BY tool LIMIT 100",
        run_id
    )?;
    Ok(rows.into_iter().map(|(tool,)| tool).collect())
}

/// The fingerprints of what stands open in a run.
pub async fn fingerprints(conn: &mut Conn, run_id: &str) -> Result<Vec<String>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String,),
        "SELECT f.fingerprint FROM finding f JOIN step s ON s.id = f.step_id AND s.fence = f.fence
         WHERE f.run_id = $1 AND f.gone_at IS NULL LIMIT 20000",
        run_id
    )?;
    Ok(rows.into_iter().map(|(fingerprint,)| fingerprint).collect())
}

/// The newest run of a project that something was reported about: number and id.
pub async fn newest_run(conn: &mut Conn, project_id: &str) -> Result<Option<(i64, String)>, Error> {
    crate::fetch_optional!(
        conn,
        (i64, String),
        "SELECT r.number, r.id FROM run r WHERE r.project_id = $1
           AND EXISTS (SELECT 1 FROM step s JOIN finding_report f ON f.step_id = s.id
                       WHERE s.run_id = r.id)
         ORDER BY r.number DESC LIMIT 1",
        project_id
    )
}
