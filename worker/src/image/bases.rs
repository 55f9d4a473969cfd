//! Which images a Dockerfile names, and whether it may be built at all: read again right before the
//! engine sees it, whatever was read when the plan was made.

use contract::complaint::Complaint;
use contract::dockerfile::{self, Dockerfile};
use contract::image::ImageRef;

/// What the Dockerfile names; else everything that is wrong with it, rendered for people.
pub fn bases(
    path: &str,
    dockerfile: &[u8],
    known_registries: &[String],
) -> Result<Dockerfile, Vec<String>> {
    dockerfile::check(path, dockerfile, known_registries).map_err(|wrong| rendered(&wrong))
}

/// What is wrong with the line that names this base, which brings ONBUILD instructions.
pub fn brings_onbuild(
    path: &str,
    dockerfile: &[u8],
    read: &Dockerfile,
    base: &ImageRef,
    first: &str,
) -> Vec<String> {
    // It was read as UTF-8 before.
    let text = String::from_utf8_lossy(dockerfile);
    rendered(&dockerfile::onbuild_base(path, &text, read, base, first))
}

fn rendered(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(Complaint::render).collect()
}
