//! The pipeline file: what work to do, written in the repository, read at the commit under test.
//!
//! *Comes in*: the file's bytes and what the project's settings say. *Goes out*: a [`Pipeline`], or
//! all complaints in the order of the file. *Owns*: both models (`syntax`: what the file says;
//! `pipeline`: what we accept) and the rules between them. *Never*: expressions, includes, text
//! pasted into a script, a key without effect. *Before / After*: the YAML tree is before; plans are
//! after.

mod check;
mod explain;
mod matching;
mod pattern;
mod pipeline;
mod read;
mod rules;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use check::checked;
pub use check::{CheckContext, Checked, check, check_all};
pub use explain::explain;
pub use matching::{
    Change, Matched, matches, patterns_match, registry_matches, steps_that_run, when_matches,
};
pub use pattern::{InvalidPattern, RegistryPattern};
pub use pipeline::{
    EventKind, Filter, On, Pipeline, Resources, ScriptSource, Step, StepKind, ToolName, When,
};
/// The longest file that is read.
pub const FILE_BYTES_MAX: usize = crate::yaml::DOCUMENT_BYTES_MAX;
/// The pipeline file's usual place.
pub const DEFAULT_PATH: &str = ".sallyport.yml";
pub(crate) use pattern::patterns;
pub(crate) use rules::{circles, path_fault};
