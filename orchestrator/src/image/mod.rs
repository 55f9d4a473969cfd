//! Which images exist, read by ourselves, and the releases that they make up.
//!
//! *Comes in*: reports of `build` steps, which claim to have pushed something; finished runs.
//! *Goes out*: images by observed digest, claims that did not hold, releases.
//! *Owns*: `image`, `image_refusal`, `release`, `release_image`.
//! *Never*: a digest that was not hashed here from the manifest's own bytes; a tag.
//! *Before / After*: `step` / `finding`, `attestation`, `gate`.

mod answer;
mod observe;
mod reconcile;
mod release;
mod state;
mod store;

pub use answer::StoredObservations;
pub use reconcile::pass;
pub use release::release_digest;
pub use state::{
    Image, ImageError, ImageId, Observation, RefusalReason, Release, ReleaseId, ReleaseImage,
};
pub use store::{image, images_of_run, observation, release, release_of_run, releases_of_project};
