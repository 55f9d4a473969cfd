//! A `build` step: an image from the commit's Dockerfile, pushed into quarantine.
//!
//! The Dockerfile is parsed before the engine sees it, and the bytes that were parsed are the bytes
//! that the engine gets. Bases are brought in by digest before the build; the build itself has no
//! right in the registry.

use super::bench::{Bench, REGISTRY_PAUSE, REGISTRY_TRIES, Stop, chain};
use crate::image::{self, Build, BuildError, ContextError, Prepared};
use contract::image::{ImageRef, Repository};
use contract::protocol::{ImageClaim, Outcome};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A push that fails after so long was repeated by the engine itself, layer by layer.
const ENGINE_TRIED: Duration = Duration::from_secs(20);
/// How the engine says that a disk is full.
const DISK_FULL: &str = "no space left on device";

/// What is asked for.
pub(super) struct Wish {
    pub(super) dockerfile: String,
    pub(super) context: String,
    pub(super) repository: Repository,
    pub(super) known_registries: Vec<String>,
}

impl From<ContextError> for Stop {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Archive(error) => error.into(),
            ContextError::Missing(_)
            | ContextError::TooLarge(_)
            | ContextError::Outside { .. }
            | ContextError::Path(_)
            | ContextError::Pattern { .. } => Self::Failed(chain(&error)),
        }
    }
}

pub(super) async fn build(bench: &mut Bench<'_>, wish: &Wish) -> Result<Outcome, Stop> {
    bench.log.section("Prepare");
    let source = bench.source().await?;
    let (prepared, context) = prepare(bench, wish, source).await?;
    bench
        .log
        .line(&format!("context of {} entries", prepared.files));
    let bases = image::bases(
        &wish.dockerfile,
        &prepared.dockerfile,
        &wish.known_registries,
    );
    let read = match bases {
        Ok(read) => read,
        Err(complaints) => return Ok(refuse(bench, complaints)),
    };
    for base in &read.images {
        bench.log.line(&format!("base {base}"));
        bench.pull(base).await?;
        let on_build = bench.engine.image_start(base).await?.on_build;
        if let Some(first) = on_build.first() {
            let (path, text) = (&wish.dockerfile, &prepared.dockerfile);
            let complaints = image::brings_onbuild(path, text, &read, base, first);
            return Ok(refuse(bench, complaints));
        }
    }
    let tag = bench.tag();
    let ended = made(bench, wish, &prepared, &context, &tag).await;
    image::forget(bench.engine, &bench.engine.built_name(&tag)).await;
    ended
}

async fn made(
    bench: &mut Bench<'_>,
    wish: &Wish,
    prepared: &Prepared,
    context: &std::path::Path,
    tag: &str,
) -> Result<Outcome, Stop> {
    bench.lease.phase("building");
    bench.claims.started_at = Some(bench.clock.now_micros());
    let name = bench.engine.built_name(tag);
    let build = Build {
        context,
        dockerfile: &prepared.path,
        name: &name,
        session: tag.to_owned(),
    };
    let built = tokio::select! {
        () = bench.lease.work().cancelled() => return Err(Stop::Ended),
        built = image::build(bench.engine, &build, &bench.log) => built,
    };
    match built {
        Ok(()) => {}
        // Whether RUN or the engine's own disk is to blame cannot be told; only one may be repeated.
        Err(BuildError::Failed(reason)) if reason.contains(DISK_FULL) => {
            return Err(Stop::Infrastructure(format!("build: {reason}")));
        }
        Err(BuildError::Failed(reason)) => {
            bench.log.line(&reason);
            return Ok(Outcome::Failed {
                reason: bench.secrets.mask(&reason),
                exit_code: None,
            });
        }
        Err(BuildError::Engine(error)) => return Err(Stop::Infrastructure(chain(&error))),
    }
    image::name(bench.engine, &name, &wish.repository, tag).await?;
    let digest = pushed(bench, &wish.repository, tag).await?;
    let image = ImageRef {
        repository: wish.repository.clone(),
        digest,
    };
    bench.log.line(&format!("pushed {image}"));
    bench.claims.images.push(ImageClaim {
        name: bench.job.step.clone(),
        image,
    });
    Ok(Outcome::Passed)
}

async fn prepare(
    bench: &Bench<'_>,
    wish: &Wish,
    source: PathBuf,
) -> Result<(Prepared, PathBuf), Stop> {
    let into = bench.folder.join("context.tar");
    let (dockerfile, context) = (wish.dockerfile.clone(), wish.context.clone());
    let packed = into.clone();
    let owner = bench.engine.root_inside().await?;
    let prepared = tokio::task::spawn_blocking(move || {
        image::prepare(&source, &dockerfile, &context, owner, &packed)
    })
    .await
    .map_err(|error| Stop::Infrastructure(error.to_string()))??;
    Ok((prepared, into))
}

async fn pushed(
    bench: &Bench<'_>,
    repository: &Repository,
    tag: &str,
) -> Result<contract::digest::Digest, Stop> {
    bench.lease.phase("pushing");
    bench.log.section("Push");
    for left in (0..REGISTRY_TRIES).rev() {
        let token = bench.right(repository, true).await?;
        let began = Instant::now();
        let pushed = tokio::select! {
            () = bench.lease.work().cancelled() => return Err(Stop::Ended),
            pushed = image::push(bench.engine, repository, tag, &token, &bench.log) => pushed,
        };
        match pushed {
            Ok(digest) => return Ok(digest),
            Err(error) if left == 0 || began.elapsed() > ENGINE_TRIED => {
                return Err(bench.registry(&error));
            }
            Err(error) => bench.log.line(&format!("{}; trying again", chain(&error))),
        }
        bench.pause(REGISTRY_PAUSE).await?;
    }
    Err(Stop::Infrastructure(format!("registry: {repository}")))
}

fn refuse(bench: &mut Bench<'_>, complaints: Vec<String>) -> Outcome {
    bench.log.section("Complaints");
    for complaint in &complaints {
        for line in complaint.lines() {
            bench.log.line(line);
        }
    }
    bench.claims.complaints = complaints;
    Outcome::Refused {
        reason: "the Dockerfile asks for what is not allowed".to_owned(),
    }
}
