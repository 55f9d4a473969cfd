//! The pass: looks at what builds claim, and makes releases of runs that succeeded.

use super::observe::{Looked, look, the_claim};
use super::state::{Image, ImageError, RefusalReason, Release, ReleaseId, ReleaseImage};
use super::store::{self, Waiting};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::ground::Ground;
use crate::identity::Actor;
use crate::project;
use crate::reconcile::{Progress, problem};
use crate::registry::Registry;
use std::time::Duration;
use tracing::Instrument as _;

/// Items of one pass; the rest waits for the next.
const ITEMS_MAX: i64 = 100;
/// A registry that is away for longer makes the build an infrastructure failure, which is retried.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(120);

/// Observes and makes releases.
pub async fn pass(ground: &Ground, registry: &Registry) -> Result<Progress, ImageError> {
    let waiting = store::waiting(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    let mut progress = Progress::Idle;
    for one in waiting {
        let span = tracing::info_span!("image", step.id = one.step_id);
        match observe(ground, registry, &one).instrument(span).await {
            Ok(done) => progress = progress.or(done),
            Err(error) => {
                tracing::warn!(
                    step.id = one.step_id,
                    error = problem(&error),
                    "not observed yet"
                );
            }
        }
    }
    let runs = store::runs_without_release(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    for (run_id, project_id) in runs {
        progress = progress.or(make_release(ground, run_id, project_id).await?);
    }
    Ok(progress)
}

async fn observe(
    ground: &Ground,
    registry: &Registry,
    waiting: &Waiting,
) -> Result<Progress, ImageError> {
    let mut conn = ground.db.reader().await?;
    let settings = project::current_settings(&mut conn, &waiting.project_id).await?;
    drop(conn);
    let environments = settings.map_or_else(Vec::new, |version| version.settings.environments);
    let looked = match the_claim(waiting) {
        Err(detail) => Looked::Refused(RefusalReason::WrongClaim, detail),
        Ok(expected) => match look(ground, registry, waiting, expected, &environments).await {
            Ok(looked) => looked,
            Err(source) => {
                let patient = ground.now().since(At(waiting.reported_at)) < REGISTRY_PATIENCE;
                if patient {
                    return Err(ImageError::Observe {
                        step_id: waiting.step_id.clone(),
                        source,
                    });
                }
                Looked::Refused(RefusalReason::Infrastructure, problem(&source))
            }
        },
    };
    match looked {
        Looked::Holds(image) => settle_image(ground, waiting, *image).await,
        Looked::Refused(reason, detail) => settle_refusal(ground, waiting, reason, detail).await,
    }
}

async fn settle_image(
    ground: &Ground,
    waiting: &Waiting,
    image: Image,
) -> Result<Progress, ImageError> {
    let (at, ids, fence) = (ground.now(), ground.ids.clone(), waiting.fence);
    ground
        .db
        .write("image.observe", move |conn| {
            Box::pin(async move {
                if !store::insert_image(conn, &image, fence).await? {
                    return Ok(Progress::Idle);
                }
                let record = Record::new(
                    "image.observed",
                    format!("image:{}", image.id),
                    &Actor::System,
                )
                .project(&image.project_id)
                .with("repository", image.repository.as_str())
                .with("digest", image.digest.to_string())
                .with("run", image.run_id.as_str());
                audit::append(conn, at, &*ids, record).await?;
                Ok(Progress::Moved)
            })
        })
        .await
}

async fn settle_refusal(
    ground: &Ground,
    waiting: &Waiting,
    reason: RefusalReason,
    detail: String,
) -> Result<Progress, ImageError> {
    let (at, ids, waiting) = (ground.now(), ground.ids.clone(), waiting.clone());
    ground
        .db
        .write("image.refuse", move |conn| {
            Box::pin(async move {
                let (step, fence) = (&waiting.step_id, waiting.fence);
                if !store::insert_refusal(conn, step, fence, reason, &detail, at).await? {
                    return Ok(Progress::Idle);
                }
                let record = Record::new("image.refused", format!("step:{step}"), &Actor::System)
                    .project(&waiting.project_id)
                    .with("reason", reason.as_str())
                    .with("detail", detail);
                audit::append(conn, at, &*ids, record).await?;
                Ok(Progress::Moved)
            })
        })
        .await
}

async fn make_release(
    ground: &Ground,
    run_id: String,
    project_id: String,
) -> Result<Progress, ImageError> {
    let (at, ids) = (ground.now(), ground.ids.clone());
    ground
        .db
        .write("image.release", move |conn| {
            Box::pin(async move {
                if !store::consume_run(conn, &run_id, at).await? {
                    return Ok(Progress::Idle);
                }
                let images = store::images_of_run(conn, &run_id).await?;
                let digests = images.iter().map(|i| (i.name.clone(), i.digest)).collect();
                let release = Release {
                    id: ReleaseId::new(&*ids),
                    project_id,
                    run_id,
                    digest: super::release_digest(&digests),
                    images: images
                        .into_iter()
                        .map(|i| {
                            (
                                i.name,
                                ReleaseImage {
                                    image_id: i.id,
                                    digest: i.digest,
                                },
                            )
                        })
                        .collect(),
                    made_at: at.0,
                };
                if release.images.is_empty() || !store::insert_release(conn, &release).await? {
                    return Ok(Progress::Idle);
                }
                let record = Record::new(
                    "image.released",
                    format!("release:{}", release.id),
                    &Actor::System,
                )
                .project(&release.project_id)
                .with("run", release.run_id.as_str())
                .with("digest", release.digest.to_string());
                audit::append(conn, at, &*ids, record).await?;
                Ok(Progress::Moved)
            })
        })
        .await
}
