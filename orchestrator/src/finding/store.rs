//! All SQL of reports, verdicts, findings, packages and bills of materials. What waits is read from
//! the step's rows, which are never written here.

use super::fingerprint::Fingerprint;
use super::parse::cyclonedx::Package;
use super::parse::junit::TestCase;
use super::state::{Finding, Location, PackageAt, Severity};
use super::verdict::{ReportRead, Verdict};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::id::IdSource;
use contract::digest::Digest;
use contract::protocol::Report;

/// Steps that one pass takes: each brings megabytes of reports.
const WAITING_MAX: i64 = 8;
/// Images that one pass judges again.
const STALE_MAX: i64 = 20;
/// Findings that a release is judged by, worst first; a report holds 5 000 at most.
pub const OPEN_MAX: i64 = 20_000;

/// A reported step that has no verdict yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The step.
    pub step_id: String,
    /// Its run.
    pub run_id: String,
    /// Its project.
    pub project_id: String,
    /// The fence of the lease that reported.
    pub fence: i64,
    /// Its part of the plan, as JSON.
    pub work: String,
    /// What the worker said; none when that cannot be read (it was checked when it came in).
    pub report: Option<Report>,
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    step_id: String,
    run_id: String,
    project_id: String,
    fence: i64,
    work: String,
    payload: String,
}

/// The reported steps whose reports nobody has read, oldest first.
pub async fn waiting(conn: &mut Conn) -> Result<Vec<Waiting>, Error> {
    let rows = crate::fetch_all!(
        conn,
        WaitingRow,
        "SELECT s.id AS step_id, s.run_id, s.project_id, s.fence, s.work, r.payload
         FROM step s JOIN report r ON r.step_id = s.id AND r.fence = s.fence
         WHERE s.state = 'reported' AND s.kind IN ('analyze', 'scan', 'test', 'run')
           AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.step_id = s.id AND v.fence = s.fence)
         ORDER BY r.received_at, s.id LIMIT $1",
        WAITING_MAX
    )?;
    Ok(rows.into_iter().map(Waiting::from).collect())
}

impl From<WaitingRow> for Waiting {
    fn from(row: WaitingRow) -> Self {
        let WaitingRow {
            step_id,
            run_id,
            project_id,
            fence,
            work,
            payload,
        } = row;
        Self {
            step_id,
            run_id,
            project_id,
            fence,
            work,
            report: serde_json::from_str(&payload).ok(),
        }
    }
}

/// A stored file of a step: id, name, digest.
pub(super) type ArtifactRow = (String, String, String);

/// The files that a lease stored.
pub(super) async fn artifacts(
    conn: &mut Conn,
    step_id: &str,
    fence: i64,
) -> Result<Vec<ArtifactRow>, Error> {
    crate::fetch_all!(
        conn,
        ArtifactRow,
        "SELECT id, name, digest FROM artifact WHERE step_id = $1 AND fence = $2 ORDER BY name",
        step_id,
        fence
    )
}

/// The image of this name that the run's finished build made.
pub(super) async fn image_of_run(
    conn: &mut Conn,
    run_id: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT i.id FROM image i JOIN step b ON b.id = i.step_id AND b.fence = i.fence
         WHERE i.run_id = $1 AND i.name = $2",
        run_id,
        name
    )?;
    Ok(row.map(|(id,)| id))
}

/// Writes the verdict while the step still waits for it under this fence; false when it does not.
pub(super) async fn insert_verdict(
    conn: &mut Conn,
    waiting: &Waiting,
    verdict: &Verdict,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO verdict (step_id, fence, outcome, detail, given_at)
         SELECT s.id, s.fence, $3, $4, $5 FROM step s
         WHERE s.id = $1 AND s.fence = $2 AND s.state = 'reported'
         ON CONFLICT (step_id, fence) DO NOTHING",
        &waiting.step_id,
        waiting.fence,
        verdict.as_str(),
        verdict.detail(),
        at.0
    )?;
    Ok(inserted == 1)
}

/// The verdict over a step under this fence, once there is one.
pub async fn verdict(conn: &mut Conn, step_id: &str, fence: i64) -> Result<Option<Verdict>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String, String),
        "SELECT outcome, detail FROM verdict WHERE step_id = $1 AND fence = $2",
        step_id,
        fence
    )?;
    row.map(|(outcome, detail)| {
        Verdict::of_row(&outcome, detail).ok_or_else(|| Error::Inconsistent {
            table: "verdict",
            column: "outcome",
            id: step_id.to_owned(),
        })
    })
    .transpose()
}

/// Writes how one report was read.
pub(super) async fn insert_report(
    conn: &mut Conn,
    ids: &dyn IdSource,
    waiting: &Waiting,
    read: &ReportRead,
    at: At,
) -> Result<(), Error> {
    let tests = read.tests.as_ref();
    let cases = tests.map(|tests| cases_json(&tests.cases));
    crate::execute!(
        conn,
        "INSERT INTO finding_report (id, step_id, fence, artifact_id, tool, format, outcome, detail,
             tests_passed, tests_failed, tests_errored, tests_skipped, tests, read_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (step_id, fence, format, tool) DO NOTHING",
        ids.uuid().to_string(),
        &waiting.step_id,
        waiting.fence,
        read.artifact_id.as_deref(),
        &read.tool,
        read.format,
        read.outcome,
        &read.detail,
        tests.map(|tests| i64::from(tests.passed)),
        tests.map(|tests| i64::from(tests.failed)),
        tests.map(|tests| i64::from(tests.errored)),
        tests.map(|tests| i64::from(tests.skipped)),
        cases,
        at.0
    )?;
    Ok(())
}

/// The form of `finding_report.tests`, version 1: an array of objects, failing ones first.
fn cases_json(cases: &[TestCase]) -> String {
    let mut sorted: Vec<&TestCase> = cases.iter().collect();
    sorted.sort_by_key(|case| std::cmp::Reverse(case.outcome));
    let cases: Vec<serde_json::Value> = sorted
        .into_iter()
        .map(|case| {
            serde_json::json!({
                "suite": case.suite,
                "name": case.name,
                "outcome": case.outcome.as_str(),
                "message": case.message,
                "duration_ms": case.duration_ms,
            })
        })
        .collect();
    serde_json::Value::Array(cases).to_string()
}

/// Where findings belong.
#[derive(Debug, Clone)]
pub(super) struct Owner<'a> {
    pub(super) project_id: &'a str,
    pub(super) run_id: &'a str,
    pub(super) step_id: &'a str,
    pub(super) fence: i64,
    pub(super) image_id: Option<&'a str>,
}

/// Writes a finding, or brings back and corrects the one with its fingerprint.
pub(super) async fn upsert_finding(
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
             message = excluded.message, fixed_in = excluded.fixed_in, aliases = excluded.aliases,
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
pub(super) async fn close_findings(
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

/// Writes an image's packages and its bill, not judged yet; a repeated scan replaces both.
pub(super) async fn put_sbom(
    conn: &mut Conn,
    image_id: &str,
    step_id: &str,
    digest: &Digest,
    packages: &[Package],
    at: At,
) -> Result<(), Error> {
    crate::execute!(conn, "DELETE FROM package WHERE image_id = $1", image_id)?;
    for package in packages {
        crate::execute!(
            conn,
            "INSERT INTO package (image_id, purl, ecosystem, name, version, licences)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (image_id, purl) DO NOTHING",
            image_id,
            key_of(package),
            &package.kind,
            &package.name,
            &package.version,
            package.licences.join("\n")
        )?;
    }
    let count = i64::try_from(packages.len()).unwrap_or(i64::MAX);
    crate::execute!(
        conn,
        "INSERT INTO sbom (image_id, step_id, digest, packages, stored_at, judged_at, advisories)
         VALUES ($1, $2, $3, $4, $5, NULL, NULL)
         ON CONFLICT (image_id) DO UPDATE SET step_id = excluded.step_id, digest = excluded.digest,
             packages = excluded.packages, stored_at = excluded.stored_at,
             judged_at = NULL, advisories = NULL",
        image_id,
        step_id,
        digest.to_string(),
        count,
        at.0
    )?;
    Ok(())
}

/// The key of a package that has no purl: it has a row all the same, so that it can be counted.
fn key_of(package: &Package) -> String {
    match &package.purl {
        Some(purl) => purl.clone(),
        None => format!("{}:{}@{}", package.kind, package.name, package.version),
    }
}

#[derive(sqlx::FromRow)]
struct PackageRow {
    purl: String,
    ecosystem: String,
    name: String,
    version: String,
    licences: String,
}

/// An image's packages.
pub async fn packages(conn: &mut Conn, image_id: &str) -> Result<Vec<Package>, Error> {
    let rows = crate::fetch_all!(
        conn,
        PackageRow,
        "SELECT purl, ecosystem, name, version, licences FROM package WHERE image_id = $1
         ORDER BY purl",
        image_id
    )?;
    let read = |row: PackageRow| {
        let PackageRow {
            purl,
            ecosystem,
            name,
            version,
            licences,
        } = row;
        Package {
            purl: purl.starts_with("pkg:").then_some(purl),
            kind: ecosystem,
            name,
            version,
            component_type: "library".to_owned(),
            licences: licences.lines().map(str::to_owned).collect(),
        }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// An image whose packages were not judged by today's advisories.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Stale {
    pub(super) image_id: String,
    pub(super) project_id: String,
    pub(super) run_id: String,
    pub(super) step_id: String,
    pub(super) fence: i64,
    pub(super) digest: String,
}

/// Images of releases that were judged by other advisories than `version`, newest first. What is in
/// no release can enter no environment and is left alone. "Less or more" says what "other" does, and is
/// found by an index.
pub(super) async fn stale(conn: &mut Conn, version: &str) -> Result<Vec<Stale>, Error> {
    crate::fetch_all!(
        conn,
        Stale,
        "SELECT b.image_id, i.project_id, i.run_id, b.step_id, s.fence, b.digest
         FROM sbom b JOIN image i ON i.id = b.image_id JOIN step s ON s.id = b.step_id
         WHERE (b.advisories IS NULL OR b.advisories < $1 OR b.advisories > $1)
           AND EXISTS (SELECT 1 FROM release_image m WHERE m.image_id = b.image_id)
         ORDER BY b.stored_at DESC, b.image_id LIMIT $2",
        version,
        STALE_MAX
    )
}

/// Notes by which advisories an image was judged; false when its bill is another one by now.
pub(super) async fn note_judged(
    conn: &mut Conn,
    image_id: &str,
    digest: &str,
    version: &str,
    at: At,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE sbom SET judged_at = $4, advisories = $3 WHERE image_id = $1 AND digest = $2",
        image_id,
        digest,
        version,
        at.0
    )?;
    Ok(updated == 1)
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

/// How one report was read, as pages show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ReportRow {
    /// The step.
    pub step: String,
    /// The tool, or the JUnit file.
    pub tool: String,
    /// `sarif`, `junit` or `cyclonedx`.
    pub format: String,
    /// `read`, `unreadable`, `missing` or `did-not-run`.
    pub outcome: String,
    /// Why, or what was in it.
    pub detail: String,
    /// Tests that passed.
    pub tests_passed: Option<i64>,
    /// Tests whose assertion failed.
    pub tests_failed: Option<i64>,
    /// Tests that broke.
    pub tests_errored: Option<i64>,
    /// Tests that were not run.
    pub tests_skipped: Option<i64>,
    /// The cases as JSON: `[{suite, name, outcome, message, duration_ms}]`, failing ones first.
    pub tests: Option<String>,
}

/// The reports of a run's steps.
pub async fn reports_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<ReportRow>, Error> {
    crate::fetch_all!(
        conn,
        ReportRow,
        "SELECT s.name AS step, r.tool, r.format, r.outcome, r.detail, r.tests_passed, r.tests_failed,
             r.tests_errored, r.tests_skipped, r.tests
         FROM finding_report r JOIN step s ON s.id = r.step_id AND s.fence = r.fence
         WHERE s.run_id = $1 ORDER BY s.ordinal, r.format, r.tool",
        run_id
    )
}

/// An image of a release with the state of its bill.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ReleaseImageRow {
    pub(super) image_id: String,
    pub(super) name: String,
    pub(super) sbom: Option<String>,
    pub(super) advisories: Option<String>,
}

/// The images of a release.
pub(super) async fn images_of_release(
    conn: &mut Conn,
    release_id: &str,
) -> Result<Vec<ReleaseImageRow>, Error> {
    crate::fetch_all!(
        conn,
        ReleaseImageRow,
        "SELECT m.image_id, m.name, b.digest AS sbom, b.advisories FROM release_image m
             LEFT JOIN sbom b ON b.image_id = m.image_id
         WHERE m.release_id = $1 ORDER BY m.name",
        release_id
    )
}

/// The images of a run; what lost leases made does not count.
pub(super) async fn images_of_run(
    conn: &mut Conn,
    run_id: &str,
) -> Result<Vec<ReleaseImageRow>, Error> {
    crate::fetch_all!(
        conn,
        ReleaseImageRow,
        "SELECT i.id AS image_id, i.name, b.digest AS sbom, b.advisories FROM image i
             JOIN step s ON s.id = i.step_id AND s.fence = i.fence
             LEFT JOIN sbom b ON b.image_id = i.id
         WHERE i.run_id = $1 ORDER BY i.name",
        run_id
    )
}

/// The run that a release came from.
pub(super) async fn run_of_release(
    conn: &mut Conn,
    release_id: &str,
) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT run_id FROM release WHERE id = $1",
        release_id
    )?;
    Ok(row.map(|(id,)| id))
}
