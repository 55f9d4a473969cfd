//! A Dockerfile that is not there: said about the pipeline file that names it.

use crate::complaint::{Code, Complaint, Complaints};
use crate::name::Name;

/// The complaint about a build step's Dockerfile that cannot be read. `file` and `text` are the pipeline
/// file's, `problem` says what is the matter.
pub fn missing(
    file: &str,
    text: &str,
    step: &Name,
    dockerfile: &str,
    problem: &str,
) -> Vec<Complaint> {
    let at = text.find(dockerfile);
    let at = at.map_or(0..0, |at| at..at + dockerfile.len());
    let mut complaints = Complaints::new(file, text);
    let message = format!("the Dockerfile of `{step}`: {problem}");
    complaints.add(Code::NoDockerfile, &at, message, "", None);
    complaints.finish()
}
