//! A `run` step: one command in one image, with the source at `/work/src`.

use super::bench::{Bench, Stop, outcome, why};
use super::keep;
use crate::sandbox::{Container, WorkArea};
use contract::image::ImageRef;
use contract::protocol::Outcome;

/// Runs the command. Reports and artifacts are kept also when it failed: they say why.
pub(super) async fn run(
    bench: &mut Bench<'_>,
    image: &ImageRef,
    command: &[String],
) -> Result<Outcome, Stop> {
    bench.log.section("Prepare");
    bench.log.line(&format!("image {image}"));
    let pod = bench.pod_with_source(&[], &[image]).await?;
    bench.log.section(&title(command));
    bench.lease.phase("running");
    let container = Container {
        image: image.clone(),
        command: command.to_vec(),
        env: bench.environment(),
        workdir: "/work/src".to_owned(),
        user: None,
        writable: Vec::new(),
        work: WorkArea::Writable,
    };
    let sink = bench.into_log();
    let ended = bench.run(&pod, container, sink).await?;
    bench.log.section("Collect");
    bench.log.line(&format!("ended: {}", why(&ended)));
    keep::keep(bench, &pod).await?;
    Ok(outcome(&ended))
}

/// The command as a section's title: of a script its first line.
pub(super) fn title(command: &[String]) -> String {
    let words: Vec<&str> = command
        .iter()
        .map(|word| word.trim().lines().next().unwrap_or_default())
        .collect();
    words.join(" ")
}
