//! All SQL of attestations and signatures, and of what they are made from.

use super::facts::Facts;
use super::state::{Attestation, AttestationId, Kind, Signature, SignatureId, Signed, State};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::image::ImageId;
use contract::digest::Digest;
use contract::image::Repository;
use contract::level::Level;

/// Images of releases that nothing was said about yet, oldest first.
pub(super) async fn waiting(conn: &mut Conn, limit: i64) -> Result<Vec<ImageId>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String,),
        "SELECT ri.image_id FROM release_image ri JOIN release r ON r.id = ri.release_id
         WHERE NOT EXISTS (SELECT 1 FROM attestation a
                           WHERE a.image_id = ri.image_id AND a.kind = 'provenance')
         ORDER BY r.made_at, ri.image_id LIMIT $1",
        limit
    )?;
    rows.into_iter()
        .map(|(id,)| ImageId::parse(&id).map_err(|_| wrong("release_image", "image_id", &id)))
        .collect()
}

#[derive(sqlx::FromRow)]
struct FactsRow {
    run_id: String,
    project: String,
    run_number: i64,
    ref_name: String,
    commit_id: String,
    trust: String,
    settings_version: i64,
    pipeline_path: String,
    pipeline_digest: Option<String>,
    plan: Option<String>,
    source_digest: Option<String>,
    step: String,
    leased_at: Option<i64>,
    finished_at: Option<i64>,
    granted_level: String,
    report: String,
}

/// What is known of the build of an image; repository and instance come from elsewhere.
pub(super) async fn facts(
    conn: &mut Conn,
    image: &ImageId,
    repository: &str,
    public_url: &str,
    signer_apart: bool,
) -> Result<Option<Facts>, Error> {
    let row = crate::fetch_optional!(
        conn,
        FactsRow,
        "SELECT r.id AS run_id, p.name AS project, r.number AS run_number, r.ref_name, r.commit_id,
                r.trust, r.settings_version, r.pipeline_path, r.pipeline_digest, r.plan,
                r.source_digest, s.name AS step, s.leased_at, s.finished_at, w.granted_level,
                t.payload AS report
         FROM image i JOIN run r ON r.id = i.run_id JOIN project p ON p.id = r.project_id
              JOIN step s ON s.id = i.step_id
              JOIN worker w ON w.id = s.worker_id
              JOIN report t ON t.step_id = i.step_id AND t.fence = i.fence
         WHERE i.id = $1",
        image.as_str()
    )?;
    let Some(row) = row else { return Ok(None) };
    let logs = crate::fetch_all!(
        conn,
        (String, String),
        "SELECT s.name, c.sha256 FROM step s JOIN log_chunk c ON c.step_id = s.id AND c.fence = s.fence
         WHERE s.run_id = $1 AND c.sequence = (SELECT MAX(l.sequence) FROM log_chunk l
                                               WHERE l.step_id = s.id AND l.fence = s.fence)
         ORDER BY s.ordinal, s.name",
        &row.run_id
    )?;
    let bad = |column| wrong("run", column, &row.run_id);
    let digest = |text: &Option<String>, column| {
        let text = text.as_deref().ok_or_else(|| bad(column))?;
        Digest::parse(text).map_err(|_| bad(column))
    };
    let mut named = Vec::with_capacity(logs.len());
    for (step, sha256) in logs {
        let digest = Digest::parse_hex(&sha256).map_err(|_| bad("log_chunk.sha256"))?;
        named.push((step, digest));
    }
    Ok(Some(Facts {
        repository: repository.to_owned(),
        pipeline_digest: digest(&row.pipeline_digest, "pipeline_digest")?,
        source_digest: digest(&row.source_digest, "source_digest")?,
        granted: Level::parse(&row.granted_level).map_err(|_| bad("worker.granted_level"))?,
        report: serde_json::from_str(&row.report).map_err(|_| bad("report.payload"))?,
        plan: row.plan.clone().ok_or_else(|| bad("plan"))?,
        started_at: row.leased_at.ok_or_else(|| bad("step.leased_at"))?,
        finished_at: row.finished_at.ok_or_else(|| bad("step.finished_at"))?,
        project: row.project,
        run_number: row.run_number,
        ref_name: row.ref_name,
        commit: row.commit_id,
        trust: row.trust,
        settings_version: row.settings_version,
        pipeline_path: row.pipeline_path,
        step: row.step,
        logs: named,
        public_url: public_url.to_owned(),
        signer_apart,
    }))
}

/// The project and the version of its settings that an image's plan was made under.
pub(super) async fn settings_of(
    conn: &mut Conn,
    image: &ImageId,
) -> Result<Option<(String, i64)>, Error> {
    crate::fetch_optional!(
        conn,
        (String, i64),
        "SELECT r.project_id, r.settings_version FROM image i JOIN run r ON r.id = i.run_id
         WHERE i.id = $1",
        image.as_str()
    )
}

/// A run's project, by name, and why the run ended.
pub(super) async fn run_of(
    conn: &mut Conn,
    run_id: &str,
) -> Result<Option<(String, String)>, Error> {
    crate::fetch_optional!(
        conn,
        (String, String),
        "SELECT p.name, r.cause FROM run r JOIN project p ON p.id = r.project_id
         WHERE r.id = $1 AND r.state = 'finished' AND r.cause IS NOT NULL",
        run_id
    )
}

/// The digest of an image's stored SBOM.
pub(super) async fn sbom_of(conn: &mut Conn, image: &ImageId) -> Result<Option<Digest>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT digest FROM sbom WHERE image_id = $1",
        image.as_str()
    )?;
    row.map(|(text,)| Digest::parse(&text).map_err(|_| wrong("sbom", "digest", image.as_str())))
        .transpose()
}

/// Whether it was new; another orchestrator may have been quicker.
pub(super) async fn intend_attestation(
    conn: &mut Conn,
    attestation: &Attestation,
    run_id: &str,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO attestation (id, project_id, run_id, image_id, kind, predicate_type, state,
                                  statement, intended_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'intended', $7, $8)
         ON CONFLICT (image_id, kind) DO NOTHING",
        attestation.id.as_str(),
        &attestation.project_id,
        run_id,
        attestation.image_id.as_str(),
        attestation.kind.as_str(),
        attestation.kind.predicate_type(),
        &attestation.statement,
        at.0
    )?;
    Ok(inserted == 1)
}

/// Whether it was new: one signature an image and reference.
pub(super) async fn intend_signature(
    conn: &mut Conn,
    signature: &Signature,
    at: At,
) -> Result<bool, Error> {
    let inserted = crate::execute!(
        conn,
        "INSERT INTO signature (id, image_id, repository, promotion_id, state, payload, intended_at)
         VALUES ($1, $2, $3, $4, 'intended', $5, $6)
         ON CONFLICT (image_id, repository) DO NOTHING",
        signature.id.as_str(),
        signature.image_id.as_str(),
        signature.repository.as_str(),
        signature.promotion_id.as_deref(),
        &signature.payload,
        at.0
    )?;
    Ok(inserted == 1)
}

/// Reads whole attestations: the one list of what an [`AttestationRow`] is made of.
macro_rules! attestations {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, image_id, kind, state, statement, envelope, key_id,
                    manifest_digest, signed_at, published_at
             FROM attestation ",
            $rest
        )
    };
}

/// Reads whole signatures: the one list of what a [`SignatureRow`] is made of.
macro_rules! signatures {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.image_id, s.repository, s.promotion_id, s.state, s.payload, s.signature,
                    s.key_id, s.manifest_digest, s.signed_at, s.published_at
             FROM signature s ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct AttestationRow {
    id: String,
    project_id: String,
    image_id: String,
    kind: String,
    state: String,
    statement: Vec<u8>,
    envelope: Option<Vec<u8>>,
    key_id: Option<String>,
    manifest_digest: Option<String>,
    signed_at: Option<i64>,
    published_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct SignatureRow {
    id: String,
    image_id: String,
    repository: String,
    promotion_id: Option<String>,
    state: String,
    payload: Vec<u8>,
    signature: Option<Vec<u8>>,
    key_id: Option<String>,
    manifest_digest: Option<String>,
    signed_at: Option<i64>,
    published_at: Option<i64>,
}

/// The columns that both tables have in common.
struct Columns {
    state: String,
    bytes: Option<Vec<u8>>,
    key_id: Option<String>,
    signed_at: Option<i64>,
    manifest_digest: Option<String>,
    published_at: Option<i64>,
}

fn state(columns: Columns) -> Option<State> {
    let Columns {
        state,
        bytes,
        key_id,
        signed_at,
        manifest_digest,
        published_at,
    } = columns;
    let signed = match (bytes, key_id, signed_at) {
        (None, None, None) => None,
        (Some(bytes), Some(key_id), Some(at)) => Some(Signed { bytes, key_id, at }),
        (_, _, _) => return None,
    };
    match (state.as_str(), signed, manifest_digest, published_at) {
        ("intended", None, None, None) => Some(State::Intended),
        ("signed", Some(signed), None, None) => Some(State::Signed(signed)),
        ("published", Some(signed), Some(manifest), Some(at)) => Some(State::Published {
            signed,
            manifest: Digest::parse(&manifest).ok()?,
            at,
        }),
        (_, _, _, _) => None,
    }
}

impl TryFrom<AttestationRow> for Attestation {
    type Error = Error;

    fn try_from(row: AttestationRow) -> Result<Self, Error> {
        let AttestationRow {
            id,
            project_id,
            image_id,
            kind,
            state: word,
            statement,
            envelope,
            key_id,
            manifest_digest,
            signed_at,
            published_at,
        } = row;
        let bad = |column| wrong("attestation", column, &id);
        let columns = Columns {
            state: word,
            bytes: envelope,
            key_id,
            signed_at,
            manifest_digest,
            published_at,
        };
        Ok(Self {
            id: AttestationId::parse(&id).map_err(|_| bad("id"))?,
            project_id,
            image_id: ImageId::parse(&image_id).map_err(|_| bad("image_id"))?,
            kind: Kind::parse(&kind).ok_or_else(|| bad("kind"))?,
            statement,
            state: state(columns).ok_or_else(|| bad("state"))?,
        })
    }
}

impl TryFrom<SignatureRow> for Signature {
    type Error = Error;

    fn try_from(row: SignatureRow) -> Result<Self, Error> {
        let SignatureRow {
            id,
            image_id,
            repository,
            promotion_id,
            state: word,
            payload,
            signature,
            key_id,
            manifest_digest,
            signed_at,
            published_at,
        } = row;
        let bad = |column| wrong("signature", column, &id);
        let columns = Columns {
            state: word,
            bytes: signature,
            key_id,
            signed_at,
            manifest_digest,
            published_at,
        };
        Ok(Self {
            id: SignatureId::parse(&id).map_err(|_| bad("id"))?,
            image_id: ImageId::parse(&image_id).map_err(|_| bad("image_id"))?,
            repository: Repository::parse(&repository).map_err(|_| bad("repository"))?,
            promotion_id,
            payload,
            state: state(columns).ok_or_else(|| bad("state"))?,
        })
    }
}

/// Attestations that are not published yet, provenance before the rest, oldest first.
pub(super) async fn open_attestations(
    conn: &mut Conn,
    limit: i64,
) -> Result<Vec<AttestationId>, Error> {
    let rows = crate::fetch_all!(
        conn,
        (String,),
        "SELECT id FROM attestation WHERE state <> 'published'
         ORDER BY intended_at, image_id, kind LIMIT $1",
        limit
    )?;
    rows.into_iter()
        .map(|(id,)| AttestationId::parse(&id).map_err(|_| wrong("attestation", "id", &id)))
        .collect()
}

/// One attestation.
pub(super) async fn attestation(
    conn: &mut Conn,
    id: &AttestationId,
) -> Result<Option<Attestation>, Error> {
    let row = crate::fetch_optional!(
        conn,
        AttestationRow,
        attestations!("WHERE id = $1"),
        id.as_str()
    )?;
    row.map(Attestation::try_from).transpose()
}

/// Signatures in quarantine that are not published yet, of images about which all else is: an image
/// is signed last, so that whoever finds the signature finds the statements, too.
pub(super) async fn open_signatures(conn: &mut Conn, limit: i64) -> Result<Vec<Signature>, Error> {
    let rows = crate::fetch_all!(
        conn,
        SignatureRow,
        signatures!(
            "WHERE s.promotion_id IS NULL AND s.state <> 'published'
           AND NOT EXISTS (SELECT 1 FROM attestation a
                           WHERE a.image_id = s.image_id AND a.state <> 'published')
         ORDER BY s.intended_at, s.id LIMIT $1"
        ),
        limit
    )?;
    rows.into_iter().map(Signature::try_from).collect()
}

/// What was said about an image.
pub async fn attestations_of_image(
    conn: &mut Conn,
    image: &ImageId,
) -> Result<Vec<Attestation>, Error> {
    let rows = crate::fetch_all!(
        conn,
        AttestationRow,
        attestations!("WHERE image_id = $1 ORDER BY kind"),
        image.as_str()
    )?;
    rows.into_iter().map(Attestation::try_from).collect()
}

/// The provenance alone: a bill of materials beside it may take megabytes.
pub(super) async fn provenance_of_image(
    conn: &mut Conn,
    image: &ImageId,
) -> Result<Option<Attestation>, Error> {
    let row = crate::fetch_optional!(
        conn,
        AttestationRow,
        attestations!("WHERE image_id = $1 AND kind = 'provenance'"),
        image.as_str()
    )?;
    row.map(Attestation::try_from).transpose()
}

/// An image's signatures, in quarantine and in environments.
pub async fn signatures_of_image(
    conn: &mut Conn,
    image: &ImageId,
) -> Result<Vec<Signature>, Error> {
    let rows = crate::fetch_all!(
        conn,
        SignatureRow,
        signatures!("WHERE image_id = $1 ORDER BY repository"),
        image.as_str()
    )?;
    rows.into_iter().map(Signature::try_from).collect()
}

/// Whether it was still unsigned.
pub(super) async fn sign_attestation(
    conn: &mut Conn,
    id: &AttestationId,
    signed: &Signed,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE attestation SET state = 'signed', problem = NULL, envelope = $2, key_id = $3, signed_at = $4
         WHERE id = $1 AND state = 'intended'",
        id.as_str(),
        &signed.bytes,
        &signed.key_id,
        signed.at
    )?;
    Ok(updated == 1)
}

/// Whether it was still unsigned.
pub(super) async fn sign_signature(
    conn: &mut Conn,
    id: &SignatureId,
    signed: &Signed,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE signature SET state = 'signed', problem = NULL, signature = $2, key_id = $3, signed_at = $4
         WHERE id = $1 AND state = 'intended'",
        id.as_str(),
        &signed.bytes,
        &signed.key_id,
        signed.at
    )?;
    Ok(updated == 1)
}

/// What hinders an attestation, when that is news.
pub(super) async fn note_attestation(
    conn: &mut Conn,
    id: &AttestationId,
    problem: &str,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE attestation SET problem = $2
         WHERE id = $1 AND state <> 'published' AND (problem IS NULL OR problem <> $2)",
        id.as_str(),
        problem
    )?;
    Ok(())
}

/// What hinders a signature, when that is news.
pub(super) async fn note_signature(
    conn: &mut Conn,
    id: &SignatureId,
    problem: &str,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE signature SET problem = $2
         WHERE id = $1 AND state <> 'published' AND (problem IS NULL OR problem <> $2)",
        id.as_str(),
        problem
    )?;
    Ok(())
}

/// Whether it was still unpublished.
pub(super) async fn publish_attestation(
    conn: &mut Conn,
    id: &AttestationId,
    manifest: &Digest,
    at: At,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE attestation SET state = 'published', problem = NULL, manifest_digest = $2, published_at = $3
         WHERE id = $1 AND state = 'signed'",
        id.as_str(),
        manifest.to_string(),
        at.0
    )?;
    Ok(updated == 1)
}

/// Whether it was still unpublished.
pub(super) async fn publish_signature(
    conn: &mut Conn,
    id: &SignatureId,
    manifest: &Digest,
    at: At,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE signature SET state = 'published', problem = NULL, manifest_digest = $2, published_at = $3
         WHERE id = $1 AND state = 'signed'",
        id.as_str(),
        manifest.to_string(),
        at.0
    )?;
    Ok(updated == 1)
}

fn wrong(table: &'static str, column: &'static str, id: &str) -> Error {
    Error::Inconsistent {
        table,
        column,
        id: id.to_owned(),
    }
}
