//! All SQL of images and releases.

use super::state::{Image, ImageId, Observation, RefusalReason, Release, ReleaseId, ReleaseImage};
use crate::clock::At;
use crate::db::{Conn, Error};
use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::name::Name;
use std::collections::BTreeMap;

/// A reported build that nobody has looked at yet.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Waiting {
    pub(super) step_id: String,
    pub(super) step_name: String,
    pub(super) fence: i64,
    pub(super) run_id: String,
    pub(super) project_id: String,
    pub(super) work: String,
    pub(super) report: String,
    pub(super) reported_at: i64,
}

pub(super) async fn waiting(conn: &mut Conn, limit: i64) -> Result<Vec<Waiting>, Error> {
    crate::fetch_all!(
        conn,
        Waiting,
        "SELECT s.id AS step_id, s.name AS step_name, s.fence, s.run_id, s.project_id, s.work,
                r.payload AS report, r.received_at AS reported_at
         FROM step s JOIN report r ON r.step_id = s.id AND r.fence = s.fence
         WHERE s.state = 'reported' AND s.kind = 'build'
           AND NOT EXISTS (SELECT 1 FROM image i WHERE i.step_id = s.id AND i.fence = s.fence)
           AND NOT EXISTS (SELECT 1 FROM image_refusal x WHERE x.step_id = s.id AND x.fence = s.fence)
         ORDER BY r.received_at, s.id LIMIT $1",
        limit
    )
}

/// Repeated by another orchestrator it changes nothing: false then.
pub(super) async fn insert_image(
    conn: &mut Conn,
    image: &Image,
    fence: i64,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO image (id, project_id, run_id, step_id, fence, name, repository, digest, media_type,
                            manifest, image_bytes, platforms, bases, observed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (step_id, fence, name) DO NOTHING",
        image.id.as_str(),
        &image.project_id,
        &image.run_id,
        &image.step_id,
        fence,
        image.name.as_str(),
        image.repository.as_str(),
        image.digest.to_string(),
        &image.media_type,
        &image.manifest,
        image.image_bytes,
        serde_json::to_string(&image.platforms).unwrap_or_default(),
        serde_json::to_string(&image.bases).unwrap_or_default(),
        image.observed_at
    )?;
    Ok(inserted == 1)
}

pub(super) async fn insert_refusal(
    conn: &mut Conn,
    step_id: &str,
    fence: i64,
    reason: RefusalReason,
    detail: &str,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO image_refusal (step_id, fence, reason, detail, refused_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (step_id, fence) DO NOTHING",
        step_id,
        fence,
        reason.as_str(),
        detail,
        at.0
    )?;
    Ok(inserted == 1)
}

#[derive(sqlx::FromRow)]
struct ImageRow {
    id: String,
    project_id: String,
    run_id: String,
    step_id: String,
    name: String,
    repository: String,
    digest: String,
    media_type: String,
    manifest: Vec<u8>,
    image_bytes: i64,
    platforms: String,
    bases: String,
    observed_at: i64,
}

impl TryFrom<ImageRow> for Image {
    type Error = Error;

    fn try_from(row: ImageRow) -> Result<Self, Error> {
        let id = row.id.clone();
        let wrong = |column| Error::Inconsistent {
            table: "image",
            column,
            id: id.clone(),
        };
        let ImageRow {
            id,
            project_id,
            run_id,
            step_id,
            name,
            repository,
            digest,
            media_type,
            manifest,
            image_bytes,
            platforms,
            bases,
            observed_at,
        } = row;
        let digest = Digest::parse(&digest).map_err(|_| wrong("digest"))?;
        if Digest::of(&manifest) != digest {
            return Err(wrong("manifest"));
        }
        let bases: Vec<ImageRef> = serde_json::from_str(&bases).map_err(|_| wrong("bases"))?;
        Ok(Self {
            id: ImageId::parse(&id).map_err(|_| wrong("id"))?,
            project_id,
            run_id,
            step_id,
            name: Name::parse(&name).map_err(|_| wrong("name"))?,
            repository: Repository::parse(&repository).map_err(|_| wrong("repository"))?,
            digest,
            media_type,
            manifest,
            image_bytes,
            platforms: serde_json::from_str(&platforms).map_err(|_| wrong("platforms"))?,
            bases,
            observed_at,
        })
    }
}

/// One image.
pub async fn image(conn: &mut Conn, id: &ImageId) -> Result<Option<Image>, Error> {
    let row = crate::fetch_optional!(
        conn,
        ImageRow,
        "SELECT id, project_id, run_id, step_id, name, repository, digest, media_type, manifest,
                image_bytes, platforms, bases, observed_at
         FROM image WHERE id = $1",
        id.as_str()
    )?;
    row.map(Image::try_from).transpose()
}

/// The images of a run by name: of each step the one under its last lease.
pub async fn images_of_run(conn: &mut Conn, run_id: &str) -> Result<Vec<Image>, Error> {
    let rows = crate::fetch_all!(
        conn,
        ImageRow,
        "SELECT i.id, i.project_id, i.run_id, i.step_id, i.name, i.repository, i.digest, i.media_type,
                i.manifest, i.image_bytes, i.platforms, i.bases, i.observed_at
         FROM image i JOIN step s ON s.id = i.step_id AND s.fence = i.fence
         WHERE i.run_id = $1 ORDER BY i.name",
        run_id
    )?;
    rows.into_iter().map(Image::try_from).collect()
}

/// What is known of the claim that a build made under this lease.
pub async fn observation(conn: &mut Conn, step_id: &str, fence: i64) -> Result<Observation, Error> {
    let refused = crate::fetch_optional!(
        conn,
        (String, String),
        "SELECT reason, detail FROM image_refusal WHERE step_id = $1 AND fence = $2",
        step_id,
        fence
    )?;
    if let Some((reason, detail)) = refused {
        let reason = RefusalReason::parse(&reason).ok_or_else(|| Error::Inconsistent {
            table: "image_refusal",
            column: "reason",
            id: step_id.to_owned(),
        })?;
        return Ok(Observation::Refused { reason, detail });
    }
    let rows = crate::fetch_all!(
        conn,
        ImageRow,
        "SELECT id, project_id, run_id, step_id, name, repository, digest, media_type, manifest,
                image_bytes, platforms, bases, observed_at
         FROM image WHERE step_id = $1 AND fence = $2 ORDER BY name",
        step_id,
        fence
    )?;
    if rows.is_empty() {
        return Ok(Observation::Pending);
    }
    let images: Result<Vec<Image>, Error> = rows.into_iter().map(Image::try_from).collect();
    Ok(Observation::Observed(images?))
}

/// Runs that succeeded and were not looked at for a release yet: id and project.
pub(super) async fn runs_without_release(
    conn: &mut Conn,
    limit: i64,
) -> Result<Vec<(String, String)>, Error> {
    crate::fetch_all!(
        conn,
        (String, String),
        "SELECT r.id, r.project_id FROM run r
         WHERE r.state = 'finished' AND r.cause = 'passed' AND r.released_at IS NULL
         ORDER BY r.finished_at, r.id LIMIT $1",
        limit
    )
}

/// Marks a good run as looked at; false when another pass was faster.
pub(super) async fn consume_run(conn: &mut Conn, run_id: &str, at: At) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE run SET released_at = $2 WHERE id = $1 AND released_at IS NULL",
        run_id,
        at.0
    )?;
    Ok(rows == 1)
}

pub(super) async fn insert_release(conn: &mut Conn, release: &Release) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO release (id, project_id, run_id, digest, made_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (run_id) DO NOTHING",
        release.id.as_str(),
        &release.project_id,
        &release.run_id,
        release.digest.to_string(),
        release.made_at
    )?;
    if inserted == 0 {
        return Ok(false);
    }
    for (name, image) in &release.images {
        crate::execute!(
            conn,
            "INSERT INTO release_image (release_id, name, image_id, digest) VALUES ($1, $2, $3, $4)",
            release.id.as_str(),
            name.as_str(),
            image.image_id.as_str(),
            image.digest.to_string()
        )?;
    }
    Ok(true)
}

#[derive(sqlx::FromRow)]
struct ReleaseRow {
    id: String,
    project_id: String,
    run_id: String,
    digest: String,
    made_at: i64,
}

async fn whole(conn: &mut Conn, row: ReleaseRow) -> Result<Release, Error> {
    let wrong = |column| Error::Inconsistent {
        table: "release",
        column,
        id: row.id.clone(),
    };
    let rows = crate::fetch_all!(
        conn,
        (String, String, String),
        "SELECT name, image_id, digest FROM release_image WHERE release_id = $1 ORDER BY name",
        &row.id
    )?;
    let mut images = BTreeMap::new();
    for (name, image_id, digest) in rows {
        let name = Name::parse(&name).map_err(|_| wrong("image name"))?;
        let image_id = ImageId::parse(&image_id).map_err(|_| wrong("image id"))?;
        let digest = Digest::parse(&digest).map_err(|_| wrong("image digest"))?;
        images.insert(name, ReleaseImage { image_id, digest });
    }
    let digest = Digest::parse(&row.digest).map_err(|_| wrong("digest"))?;
    let digests = images
        .iter()
        .map(|(name, image)| (name.clone(), image.digest))
        .collect();
    if super::release_digest(&digests) != digest {
        return Err(wrong("digest"));
    }
    Ok(Release {
        id: ReleaseId::parse(&row.id).map_err(|_| wrong("id"))?,
        project_id: row.project_id,
        run_id: row.run_id,
        digest,
        images,
        made_at: row.made_at,
    })
}

/// One release.
pub async fn release(conn: &mut Conn, id: &ReleaseId) -> Result<Option<Release>, Error> {
    let row = crate::fetch_optional!(
        conn,
        ReleaseRow,
        "SELECT id, project_id, run_id, digest, made_at FROM release WHERE id = $1",
        id.as_str()
    )?;
    match row {
        Some(row) => Ok(Some(whole(conn, row).await?)),
        None => Ok(None),
    }
}

/// The release of a run, once it has one.
pub async fn release_of_run(conn: &mut Conn, run_id: &str) -> Result<Option<Release>, Error> {
    let row = crate::fetch_optional!(
        conn,
        ReleaseRow,
        "SELECT id, project_id, run_id, digest, made_at FROM release WHERE run_id = $1",
        run_id
    )?;
    match row {
        Some(row) => Ok(Some(whole(conn, row).await?)),
        None => Ok(None),
    }
}

/// A project's newest releases, newest first.
pub async fn releases_of_project(
    conn: &mut Conn,
    project_id: &str,
    limit: i64,
) -> Result<Vec<Release>, Error> {
    let rows = crate::fetch_all!(
        conn,
        ReleaseRow,
        "SELECT id, project_id, run_id, digest, made_at FROM release
         WHERE project_id = $1 ORDER BY made_at DESC, id DESC LIMIT $2",
        project_id,
        limit
    )?;
    let mut releases = Vec::with_capacity(rows.len());
    for row in rows {
        releases.push(whole(conn, row).await?);
    }
    Ok(releases)
}
