//! What is known of a Dockerfile that was accepted.

use crate::complaint::Span;
use crate::image::ImageRef;

/// A Dockerfile without complaints.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dockerfile {
    /// Every outside image that it names, each once, in the order of the file.
    pub images: Vec<ImageRef>,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// Where each of the images is named first.
    pub(super) named: Vec<Span>,
}

/// One `FROM` and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What it stands on.
    pub base: Base,
}

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by its position.
    Stage(usize),
    /// An outside image.
    Image(ImageRef),
    /// What was complained about.
    Refused,
}
