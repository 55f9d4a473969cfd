//! Reads what a build claims to have pushed, and believes only the bytes.

use super::state::{Image, ImageId, RefusalReason};
use super::store::Waiting;
use crate::ground::Ground;
use crate::kill::outside;
use crate::registry::{Manifest, Registry, RegistryError, children};
use crate::run::{PlannedStep, PlannedWork};
use contract::image::{ImageRef, Repository};
use contract::protocol::{ImageClaim, Report};
use contract::settings::Environment;
use serde::Deserialize;

/// An image's configuration: some hold long histories, none a megabyte.
const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// What came of looking.
pub(super) enum Looked {
    /// The claim holds.
    Holds(Box<Image>),
    /// It does not.
    Refused(RefusalReason, String),
}

/// The one image that a step may have pushed.
pub(super) struct Expected {
    claim: ImageClaim,
    /// What its Dockerfile names at the commit, as the plan holds it: a worker is not asked.
    bases: Vec<ImageRef>,
}

/// Holds the worker's claim against the plan.
pub(super) fn the_claim(waiting: &Waiting) -> Result<Expected, String> {
    let report: Report =
        serde_json::from_str(&waiting.report).map_err(|e| format!("the report: {e}"))?;
    let planned: PlannedStep =
        serde_json::from_str(&waiting.work).map_err(|e| format!("the plan: {e}"))?;
    let PlannedWork::Build {
        repository, bases, ..
    } = planned.work
    else {
        return Err("not a build".to_owned());
    };
    let [claim] = <[ImageClaim; 1]>::try_from(report.images)
        .map_err(|images| format!("{} images are claimed, one was to be built", images.len()))?;
    if claim.name.as_str() != waiting.step_name {
        return Err(format!(
            "the image is called {}, the step {}",
            claim.name, waiting.step_name
        ));
    }
    if claim.image.repository != repository {
        return Err(format!(
            "pushed to {}, not to {repository}",
            claim.image.repository
        ));
    }
    Ok(Expected { claim, bases })
}

/// Tries the build's right at the doors of the environments, then reads manifest and configuration by
/// digest. `Err` is "could not find out".
pub(super) async fn look(
    ground: &Ground,
    registry: &Registry,
    waiting: &Waiting,
    expected: Expected,
    environments: &[Environment],
) -> Result<Looked, RegistryError> {
    let Expected { claim, bases } = expected;
    if let Some(open) = opened(registry, &claim, environments).await? {
        let detail = format!(
            "{open} can be written to with the right of a build: let the registry accept tokens of this instance only"
        );
        return Ok(Looked::Refused(RefusalReason::OpenRegistry, detail));
    }
    let (repository, digest) = (&claim.image.repository, &claim.image.digest);
    let manifest = match outside("image.observe", registry.manifest(repository, digest)).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            let detail = format!("{repository} holds no {digest}");
            return Ok(Looked::Refused(RefusalReason::Missing, detail));
        }
        Err(error @ RegistryError::Mismatch { .. }) => {
            return Ok(Looked::Refused(RefusalReason::Mismatch, error.to_string()));
        }
        Err(error) => return Err(error),
    };
    match read(registry, &claim, &manifest).await {
        Ok((image_bytes, platforms)) => Ok(Looked::Holds(Box::new(Image {
            id: ImageId::new(&*ground.ids),
            project_id: waiting.project_id.clone(),
            run_id: waiting.run_id.clone(),
            step_id: waiting.step_id.clone(),
            name: claim.name,
            repository: claim.image.repository,
            digest: manifest.digest,
            media_type: manifest.media_type,
            manifest: manifest.bytes,
            image_bytes,
            platforms,
            bases,
            observed_at: ground.now().0,
        }))),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => Ok(Looked::Refused(
            RefusalReason::NotAnImage,
            error.to_string(),
        )),
    }
}

/// An environment's repository into which the build's own right could have written; none when the
/// registry keeps them apart.
async fn opened(
    registry: &Registry,
    claim: &ImageClaim,
    environments: &[Environment],
) -> Result<Option<Repository>, RegistryError> {
    for environment in environments {
        let Ok(target) = environment.repository.join(&claim.name) else {
            continue;
        };
        if registry
            .lets_write(&claim.image.repository, &target)
            .await?
        {
            return Ok(Some(target));
        }
    }
    Ok(None)
}

/// Size and platforms, from the manifest and its configuration.
async fn read(
    registry: &Registry,
    claim: &ImageClaim,
    manifest: &Manifest,
) -> Result<(i64, Vec<String>), RegistryError> {
    let children = children(manifest)?;
    let bytes: u64 = children
        .blobs
        .iter()
        .fold(0, |sum, (_, size)| sum.saturating_add(*size));
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    if !children.manifests.is_empty() {
        return Ok((
            bytes,
            children
                .manifests
                .into_iter()
                .map(|(_, platform)| platform)
                .collect(),
        ));
    }
    let wrong = |problem: String| RegistryError::NotAManifest {
        what: manifest.digest.to_string(),
        problem,
    };
    let (config, _) = children
        .blobs
        .first()
        .ok_or_else(|| wrong("no configuration".to_owned()))?;
    let document = registry
        .blob(&claim.image.repository, config, CONFIG_BYTES_MAX)
        .await?;
    let document = document.ok_or_else(|| wrong("its configuration is missing".to_owned()))?;
    let config: ImageConfig =
        serde_json::from_slice(&document).map_err(|e| wrong(e.to_string()))?;
    Ok((
        bytes,
        vec![format!("{}/{}", config.os, config.architecture)],
    ))
}

#[derive(Deserialize)]
struct ImageConfig {
    os: String,
    architecture: String,
}
