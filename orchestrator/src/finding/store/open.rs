//! All SQL of findings, and of what stands open.

use super::super::fingerprint::Fingerprint;
use super::super::state::{Finding, Location, PackageAt, Severity};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::id::IdSource;

/// Findings that a release is judged by, worst first; a report holds 5 000 at most.
pub const OPEN_MAX: i64 = 20_000;

/// Where findings belong.
#[derive(Debug, Clone)]
pub(in crate::finding) struct Owner<'a> {
    pub(in crate::finding) project_id: &'a str,
    pub(in crate::finding) run_id: &'a str,
    pub(in crate::finding) step_id: &'a str,
    pub(in crate::finding) fence: i64,
    pub(in crate::finding) image_id: Option<&'a str>,
}

/// Writes a finding, or brings back and corrects the one with its fingerprint.
pub(in crate::finding) async fn upsert_finding(
    conn: &mut Conn,
    ids: &dyn IdSource,
    owner: &Owner<'_>,
    finding: &Finding,
    at: At,
) -> Result<(), Error> {
    let (path, line) = match &finding.location {
        Location::File { path, line } => (Some(path.as_str()), line.map(i64::from)),
        Location::Package(_) | Location::Nowhere => (None, None),
    };
    let package = match &finding.location {
        Location::Package(package) => Some(package),
        Location::File { .. } | Location::Nowhere => None,
    };
    crate::execute!(
        conn,
        "INSERT INTO finding (id, project_id, run_id, step_id, fence, image_id, tool, rule, severity,
             title, message, path, line, purl, package, package_version, fixed_in, aliases,
             fingerprint, suppressed, found_at, gone_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             $20, $21, NULL)
         ON CONFLICT (step_id, fence, fingerprint) DO UPDATE SET
             rule = excluded.rule, severity = excluded.severity, title = excluded.title,
             message = excluded.message, path = excluded.path, line = excluded.line,
             purl = excluded.purl, package = excluded.package,
             package_version = excluded.package_version, fixed_in = excluded.fixed_in,
             aliases = excluded.aliases,
             gone_at = NULL",
        ids.uuid().to_string(),
        owner.project_id,
        owner.run_id,
        owner.step_id,
        owner.fence,
        owner.image_id,
        &finding.tool,
        &finding.rule,
        finding.severity.as_str(),
        &finding.title,
        &finding.message,
        path,
        line,
        package.map(|package| package.purl.as_str()),
        package.map(|package| package.name.as_str()),
        package.map(|package| package.version.as_str()),
        package.and_then(|package| package.fixed_in.as_deref()),
        finding.aliases.join(" "),
        finding.fingerprint.hex(),
        i64::from(finding.suppressed),
        at.0
    )?;
    Ok(())
}

/// Marks what advisories said about an image as gone, before what still stands is written again:
/// also what an earlier scan of the same image had found.
pub(in crate::finding) async fn close_findings(
    conn: &mut Conn,
    image_id: &str,
    tool: &str,
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE finding SET gone_at = $3 WHERE image_id = $1 AND tool = $2 AND gone_at IS NULL",
        image_id,
        tool,
        at.0
    )?;
    Ok(())
}

/// A finding as gates and pages see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its id.
    pub id: String,
    /// The image that it is in; none: in the source.
    pub image: Option<String>,
    /// The step that found it.
    pub step: String,
    /// When it was first seen in this run, µs since 1970 UTC.
    pub found_at: i64,
    /// What it is.
    pub finding: Finding,
}

#[derive(sqlx::FromRow)]
struct FindingRow {
    id: String,
    image: Option<String>,
    step: String,
    tool: String,
    rule: String,
    severity: String,
    title: String,
    message: String,
    path: Option<String>,
    line: Option<i64>,
    purl: Option<String>,
    package: Option<String>,
    package_version: Option<String>,
    fixed_in: Option<String>,
    aliases: String,
    fingerprint: String,
    suppressed: i64,
    found_at: i64,
}

/// What stands open in a run, worst first. Reports of leases that were lost do not count.
pub async fn open_in_run(conn: &mut Conn, run_id: &str) -> Result<Vec<Open>, Error> {
    let rows = crate::fetch_all!(
        conn,
        FindingRow,
        "SELECT f.id, i.name AS image, s.name AS step, f.tool, f.rule, f.severity, f.title, f.message,
             f.path, f.line, f.purl, f.package, f.package_version, f.fixed_in, f.aliases,
             f.fingerprint, f.suppressed, f.found_at
         FROM finding f JOIN step s ON s.id = f.step_id AND s.fence = f.fence
             LEFT JOIN image i ON i.id = f.image_id
         WHERE f.run_id = $1 AND f.gone_at IS NULL
         ORDER BY CASE f.severity WHEN 'unknown' THEN 0 WHEN 'critical' THEN 1 WHEN 'high' THEN 2
             WHEN 'medium' THEN 3 ELSE 4 END, f.tool, f.rule, f.fingerprint LIMIT $2",
        run_id,
        OPEN_MAX
    )?;
    rows.into_iter().map(Open::try_from).collect()
}

impl TryFrom<FindingRow> for Open {
    type Error = Error;

    fn try_from(row: FindingRow) -> Result<Self, Error> {
        let FindingRow {
            id,
            image,
            step,
            tool,
            rule,
            severity,
            title,
            message,
            path,
            line,
            purl,
            package,
            package_version,
            fixed_in,
            aliases,
            fingerprint,
            suppressed,
            found_at,
        } = row;
        let wrong = |column: &'static str| Error::Inconsistent {
            table: "finding",
            column,
            id: id.clone(),
        };
        let location = match (path, purl, package, package_version) {
            (Some(path), None, None, None) => Location::File {
                path,
                line: line.and_then(|line| u32::try_from(line).ok()),
            },
            (None, Some(purl), Some(name), Some(version)) => Location::Package(PackageAt {
                purl,
                name,
                version,
                fixed_in,
            }),
            (None, None, None, None) => Location::Nowhere,
            _ => return Err(wrong("path and package")),
        };
        let finding = Finding {
            severity: Severity::parse(&severity).ok_or_else(|| wrong("severity"))?,
            fingerprint: Fingerprint::parse(&fingerprint).ok_or_else(|| wrong("fingerprint"))?,
            tool,
            rule,
            title,
            message,
            location,
            suppressed: suppressed != 0,
            aliases: aliases.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(Self {
            id,
            image,
            step,
            found_at,
            finding,
        })
    }
}
