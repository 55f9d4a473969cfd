//! A `scan` step: the SBOM of an image and the secrets in its layers. The image is never run: its
//! bytes are fetched blob by blob, each hash checked, and handed to the tools as files.

use super::analyze::{gitleaks, judge, scratch};
use super::bench::{Bench, REGISTRY_PAUSE, REGISTRY_TRIES, Stop, chain};
use super::tool::{self, Call};
use crate::image::{FetchError, Layout, fetch};
use crate::scan::layers;
use contract::image::ImageRef;
use contract::protocol::{Outcome, Tool};
use std::path::Path;

/// A work area lies in memory: an image that takes more of it is not scanned.
const SCANNED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Kept free in a work area for what it costs to hold files.
const SPARE: u64 = 16 * 1024 * 1024;

pub(super) async fn scan(
    bench: &mut Bench<'_>,
    image: &ImageRef,
    sbom: &Tool,
    secrets: &Tool,
) -> Result<Outcome, Stop> {
    bench.log.section("Fetch");
    bench.log.line(&format!("image {image}"));
    let layout = fetched(bench, image).await?;
    bench.log.line(&format!(
        "{} blobs, {} bytes, every hash checked",
        layout.blobs, layout.bytes
    ));
    if layout.bytes > SCANNED_BYTES_MAX {
        return Err(Stop::Failed(format!(
            "the image has {} bytes: more than {SCANNED_BYTES_MAX} are not scanned",
            layout.bytes
        )));
    }
    bench.pull(&sbom.image).await?;
    // As large as the image asks for, whatever the step's own work area is.
    let pod = bench.pod_holding("/work/image", held(&layout)).await?;
    let archive = bench.folder.join("layout.tar");
    blocking({
        let (layout, archive) = (layout.clone(), archive.clone());
        move || layout.pack(&archive)
    })
    .await?;
    pod.put_file(&archive).await?;
    discard(&archive).await;
    tool::run(bench, &pod, sbom, syft()).await?;
    pod.remove().await?;

    bench.pull(&secrets.image).await?;
    let files = bench.folder.join("layers.tar");
    let told = blocking({
        let (layout, files) = (layout.clone(), files.clone());
        move || layers::unpack(&layout, &files, SCANNED_BYTES_MAX)
    })
    .await?;
    bench.log.line(&format!(
        "{} files of {} layers, {} entries passed over",
        told.files, told.layers, told.passed_over
    ));
    let pod = bench
        .pod_holding("/work/layers", told.bytes + SPARE)
        .await?;
    pod.put_file(&files).await?;
    discard(&files).await;
    let artifact = format!("sarif/{}.sarif", secrets.name);
    tool::run(bench, &pod, secrets, gitleaks(artifact, "/work/layers")).await?;
    Ok(judge(&bench.claims.tools))
}

/// What a layout takes in a work area: each blob in whole pages, and a few small files.
fn held(layout: &Layout) -> u64 {
    layout.bytes + layout.blobs as u64 * 4096 + SPARE
}

/// Only disk space is at stake: the lease's folder goes as a whole.
async fn discard(file: &Path) {
    let _ = tokio::fs::remove_file(file).await;
}

async fn fetched(bench: &Bench<'_>, image: &ImageRef) -> Result<Layout, Stop> {
    bench.lease.phase("fetching image");
    let folder = bench.folder.join("layout");
    for left in (0..REGISTRY_TRIES).rev() {
        let token = bench.right(&image.repository, false).await?;
        let fetched = tokio::select! {
            () = bench.lease.work().cancelled() => return Err(Stop::Ended),
            fetched = fetch(image, &token, bench.engine.registry_timeout(), &folder) => fetched,
        };
        match fetched {
            Ok(layout) => return Ok(layout),
            Err(error) if error.is_of_the_image() => return Err(Stop::Failed(chain(&error))),
            Err(error @ FetchError::Folder(_)) => {
                return Err(Stop::Infrastructure(chain(&error)));
            }
            Err(error) if left == 0 || !error.may_help_to_repeat() => {
                return Err(Stop::Infrastructure(format!("registry: {}", chain(&error))));
            }
            Err(error) => bench.log.line(&format!("{}; trying again", chain(&error))),
        }
        bench.pause(REGISTRY_PAUSE).await?;
    }
    Err(Stop::Infrastructure(format!("registry: {image}")))
}

fn syft() -> Call {
    let mut env = scratch();
    env.insert("SYFT_CHECK_FOR_APP_UPDATE".to_owned(), "false".to_owned());
    let command = [
        "/usr/bin/syft",
        "scan",
        "oci-dir:/work/image",
        "--output",
        "cyclonedx-json",
        "--quiet",
    ];
    Call {
        command: command.map(str::to_owned).to_vec(),
        env,
        good: &[0],
        artifact: "sbom/cyclonedx.json".to_owned(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, Stop> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Stop::Infrastructure(error.to_string()))?
        .map_err(|error| {
            if error.is_of_the_image() {
                Stop::Failed(chain(&error))
            } else {
                Stop::Infrastructure(chain(&error))
            }
        })
}
