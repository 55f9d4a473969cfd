//! All SQL of packages and bills of materials.

use super::super::parse::cyclonedx::Package;
use crate::clock::At;
use crate::db::{Conn, Error};
use contract::digest::Digest;

/// Images that one pass judges again.
const STALE_MAX: i64 = 20;

/// Writes an image's packages and its bill, not judged yet; a repeated scan replaces both.
pub(in crate::finding) async fn put_sbom(
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
pub(in crate::finding) struct Stale {
    pub(in crate::finding) image_id: String,
    pub(in crate::finding) project_id: String,
    pub(in crate::finding) run_id: String,
    pub(in crate::finding) step_id: String,
    pub(in crate::finding) fence: i64,
    pub(in crate::finding) digest: String,
}

/// Images of releases that were judged by other advisories than `version`, newest first. What is in
/// no release can enter no environment and is left alone. "Less or more" says what "other" does, and is
/// found by an index.
pub(in crate::finding) async fn stale(conn: &mut Conn, version: &str) -> Result<Vec<Stale>, Error> {
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
pub(in crate::finding) async fn note_judged(
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

/// An image of a release with the state of its bill.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::finding) struct ReleaseImageRow {
    pub(in crate::finding) image_id: String,
    pub(in crate::finding) name: String,
    pub(in crate::finding) sbom: Option<String>,
    pub(in crate::finding) advisories: Option<String>,
}

/// The images of a release.
pub(in crate::finding) async fn images_of_release(
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
pub(in crate::finding) async fn images_of_run(
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
