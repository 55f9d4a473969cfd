//! Which images a Dockerfile names, and whether it may be built at all: read again right before the
//! engine sees it, whatever was read when the plan was made.

use contract::image::ImageRef;

/// The images that the Dockerfile names; else everything that is wrong with it, rendered for people.
pub fn bases(
    path: &str,
    dockerfile: &[u8],
    known_registries: &[String],
) -> Result<Vec<ImageRef>, Vec<String>> {
    match contract::dockerfile::check(path, dockerfile, known_registries) {
        Ok(read) => Ok(read.images),
        Err(complaints) => Err(complaints.iter().map(|c| c.render()).collect()),
    }
}
