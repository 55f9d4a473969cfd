//! The pass: reported steps get their verdict from their stored reports; images of releases are
//! judged again when the advisories have changed (P9).

use super::advisory::{self, Judged};
use super::expected::Expected;
use super::parse::cyclonedx::Sbom;
use super::store::{self, Owner, Stale, Waiting};
use super::verdict::{self, Judgement, StoredFile, Verdict};
use crate::blob::{BlobError, Blobs};
use crate::clock::At;
use crate::db::Error;
use crate::ground::Ground;
use crate::reconcile::Progress;
use contract::digest::Digest;
use std::sync::Arc;
use tracing::Instrument as _;

/// Reports are read; one that is larger than this was not stored (`ARTIFACT_BYTES_MAX`).
const REPORT_PREFIXES: [&str; 3] = ["sarif/", "junit/", "sbom/"];

/// One pass over what waits. One bad item does not stop the others.
pub async fn pass(ground: &Ground, blobs: &Blobs) -> Result<Progress, Error> {
    let mut conn = ground.db.reader().await?;
    let waiting = store::waiting(&mut conn).await?;
    drop(conn);
    let mut progress = Progress::Idle;
    for one in waiting {
        let span = tracing::info_span!("finding", run.id = one.run_id, step.id = one.step_id);
        match give_verdict(ground, blobs, &one).instrument(span).await {
            Ok(moved) => progress = progress.or(moved),
            Err(error) => tracing::error!(
                step.id = one.step_id,
                error = ?error,
                "the reports of a step could not be judged"
            ),
        }
    }
    Ok(progress.or(judge_again(ground).await?))
}

async fn give_verdict(
    ground: &Ground,
    blobs: &Blobs,
    waiting: &Waiting,
) -> Result<Progress, Error> {
    let expected = Expected::of(&waiting.work);
    let mut conn = ground.db.reader().await?;
    let image_id = match &expected {
        Some(Expected::Scan { image, .. }) => {
            store::image_of_run(&mut conn, &waiting.run_id, image).await?
        }
        Some(Expected::Analyze { .. } | Expected::Test { .. } | Expected::Run { .. }) | None => {
            None
        }
    };
    let artifacts = store::artifacts(&mut conn, &waiting.step_id, waiting.fence).await?;
    drop(conn);
    let files = gather(blobs, artifacts).await;
    let judgement = decide(waiting, expected, image_id.is_some(), files).await;
    let judged = match &judgement.sbom {
        Some((_, sbom)) => Some(match_packages(ground, sbom).await?),
        None => None,
    };
    settle(ground, waiting, image_id, judgement, judged).await
}

/// The reports' bytes. What cannot be read now is an answer too: another attempt brings new ones.
async fn gather(blobs: &Blobs, artifacts: Vec<store::ArtifactRow>) -> Vec<StoredFile> {
    let mut files = Vec::new();
    for (artifact_id, name, digest) in artifacts {
        if !REPORT_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let (digest, bytes) = match Digest::parse(&digest) {
            Ok(digest) => (digest, blobs.get(&digest).await.map_err(explained)),
            Err(error) => (Digest::of(b""), Err(error.to_string())),
        };
        files.push(StoredFile {
            artifact_id,
            name,
            digest,
            bytes,
        });
    }
    files
}

fn explained(error: BlobError) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Off the async threads: reports have megabytes.
async fn decide(
    waiting: &Waiting,
    expected: Option<Expected>,
    image_known: bool,
    files: Vec<StoredFile>,
) -> Judgement {
    let only = |verdict: Verdict| Judgement {
        verdict,
        reports: Vec::new(),
        findings: Vec::new(),
        sbom: None,
    };
    let Some(report) = waiting.report.clone() else {
        return only(Verdict::Incomplete(
            "the worker's report cannot be read".to_owned(),
        ));
    };
    let Some(expected) = expected else {
        return only(Verdict::Incomplete(
            "the step's plan names no reports".to_owned(),
        ));
    };
    if matches!(expected, Expected::Scan { .. }) && !image_known {
        return only(Verdict::Incomplete(
            "the scanned image was never observed".to_owned(),
        ));
    }
    let judged =
        tokio::task::spawn_blocking(move || verdict::judge(&expected, &report, &files)).await;
    judged.unwrap_or_else(|_| only(Verdict::Incomplete("reading a report failed".to_owned())))
}

async fn match_packages(ground: &Ground, sbom: &Sbom) -> Result<(Judged, String), Error> {
    let mut conn = ground.db.reader().await?;
    let (advisories, version) = advisory::about(&mut conn, &sbom.packages).await?;
    Ok((advisory::judge(&sbom.packages, &advisories), version))
}

async fn settle(
    ground: &Ground,
    waiting: &Waiting,
    image_id: Option<String>,
    judgement: Judgement,
    judged: Option<(Judged, String)>,
) -> Result<Progress, Error> {
    let (at, ids) = (ground.now(), Arc::clone(&ground.ids));
    let all = Arc::new((waiting.clone(), image_id, judgement, judged));
    let write = ground.db.write("finding.settle", move |conn| {
        Box::pin(async move {
            let (waiting, image_id, judgement, judged) = &*all;
            if !store::insert_verdict(conn, waiting, &judgement.verdict, at).await? {
                return Ok(Progress::Idle);
            }
            for read in &judgement.reports {
                store::insert_report(conn, ids.as_ref(), waiting, read, at).await?;
            }
            let owner = Owner {
                project_id: &waiting.project_id,
                run_id: &waiting.run_id,
                step_id: &waiting.step_id,
                fence: waiting.fence,
                image_id: image_id.as_deref(),
            };
            for finding in &judgement.findings {
                store::upsert_finding(conn, ids.as_ref(), &owner, finding, at).await?;
            }
            if let (Some((digest, sbom)), Some(image_id), Some((judged, version))) =
                (&judgement.sbom, image_id, judged)
            {
                let step_id = &waiting.step_id;
                store::put_sbom(conn, image_id, step_id, digest, &sbom.packages, at).await?;
                store::close_findings(conn, image_id, advisory::TOOL, at).await?;
                for finding in &judged.findings {
                    store::upsert_finding(conn, ids.as_ref(), &owner, finding, at).await?;
                }
                store::note_judged(conn, image_id, &digest.to_string(), version, at).await?;
            }
            Ok::<Progress, Error>(Progress::Moved)
        })
    });
    write.await
}

/// Judges the images of releases whose advisories have changed since.
pub async fn judge_again(ground: &Ground) -> Result<Progress, Error> {
    let mut conn = ground.db.reader().await?;
    let version = advisory::version_of(&advisory::sources(&mut conn).await?);
    let stale = store::stale(&mut conn, &version).await?;
    drop(conn);
    let mut progress = Progress::Idle;
    for one in stale {
        let mut conn = ground.db.reader().await?;
        let packages = store::packages(&mut conn, &one.image_id).await?;
        let (advisories, version) = advisory::about(&mut conn, &packages).await?;
        drop(conn);
        let judged = advisory::judge(&packages, &advisories);
        progress = progress.or(settle_again(ground, one, judged, version).await?);
    }
    Ok(progress)
}

async fn settle_again(
    ground: &Ground,
    stale: Stale,
    judged: Judged,
    version: String,
) -> Result<Progress, Error> {
    let (at, ids): (At, _) = (ground.now(), Arc::clone(&ground.ids));
    let all = Arc::new((stale, judged, version));
    let write = ground.db.write("finding.judge-again", move |conn| {
        Box::pin(async move {
            let (stale, judged, version) = &*all;
            let digest = &stale.digest;
            if !store::note_judged(conn, &stale.image_id, digest, version, at).await? {
                return Ok(Progress::Idle);
            }
            store::close_findings(conn, &stale.image_id, advisory::TOOL, at).await?;
            let owner = Owner {
                project_id: &stale.project_id,
                run_id: &stale.run_id,
                step_id: &stale.step_id,
                fence: stale.fence,
                image_id: Some(&stale.image_id),
            };
            for finding in &judged.findings {
                store::upsert_finding(conn, ids.as_ref(), &owner, finding, at).await?;
            }
            Ok::<Progress, Error>(Progress::Moved)
        })
    });
    write.await
}
