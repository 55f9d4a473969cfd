//! What the settings say, with places.

use crate::complaint::Spanned;
use crate::name::Name;
use crate::settings::model::{Gate, Outsiders, Promote};

/// The whole document.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) project: Option<Spanned<Name>>,
    pub(crate) git: Option<Spanned<String>>,
    pub(crate) pipeline: Option<Spanned<String>>,
    pub(crate) outsiders: Option<Spanned<Outsiders>>,
    pub(crate) known_registries: Vec<Spanned<String>>,
    pub(crate) quarantine: Option<Spanned<String>>,
    pub(crate) timeout: Option<Spanned<u64>>,
    pub(crate) memory: Option<Spanned<u64>>,
    pub(crate) parallel_steps: Option<Spanned<u64>>,
    pub(crate) environments: Vec<Environment>,
    /// Values that are understood and have no effect yet, with what is said of them.
    pub(crate) not_yet: Vec<Spanned<&'static str>>,
}

#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: Spanned<Name>,
    pub(crate) after: Vec<Spanned<String>>,
    pub(crate) repository: Option<Spanned<String>>,
    pub(crate) promote: Option<Spanned<Promote>>,
    pub(crate) gate: Option<Gate>,
    /// Roles that approvals are wanted from.
    pub(crate) approvers: Vec<Spanned<Name>>,
}
