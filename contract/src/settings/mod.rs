//! Project settings: what is trusted, where images go and what a gate wants (docs/language.md).
//!
//! *Comes in*: a document that was applied with `sallyport project apply`. *Goes out*: [`Settings`],
//! or all complaints in the order of the file. *Owns*: both models (`syntax`, `model`) and the rules
//! between them. *Never*: anything from the commit under test. *Before / After*: the YAML tree is
//! before; trigger policy, plans and gates are after.

mod check;
mod model;
mod read;
mod rules;
mod syntax;
#[cfg(test)]
mod tests;

pub use check::{check, check_all};
pub use model::{
    ApprovalRule, Environment, FindingsRule, Gate, Outsiders, Promote, Settings, SeverityLevel,
    TestsRule,
};
