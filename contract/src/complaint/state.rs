//! One complaint.

use serde::{Deserialize, Serialize};

/// The manual that explains every code.
const MANUAL: &str = "docs/language.md";

/// Something in a file that a person wrote is not accepted.
///
/// Every text in it is safe to print: control characters of the file have been made visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// Which rule: the word of a [`Code`](crate::complaint::Code).
    pub code: String,
    /// Whether the file can be used in spite of it.
    pub severity: Severity,
    /// What is wrong, one sentence.
    pub message: String,
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How many characters of the line are at fault.
    pub length: usize,
    /// First byte at fault.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The line, ready to print: tabs expanded, control characters visible, its far parts cut.
    pub snippet: String,
    /// What is marked in the snippet.
    pub mark: Mark,
    /// What stands beside the marks.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Where the manual explains the rule.
    pub more: String,
}

/// Whether a file with this complaint can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No.
    Error,
    /// Yes, but somebody should know.
    Warning,
}

/// A part of a printed line, in columns of a terminal (a wide character has two).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Columns before it.
    pub before: usize,
    /// Its width, at least 1.
    pub width: usize,
}

impl Complaint {
    /// Where the manual explains this code.
    pub(crate) fn manual(code: &str) -> String {
        format!("{MANUAL}#{code}")
    }

    /// As people read it, in the terminal and on the page; ends with a line break.
    pub fn render(&self) -> String {
        format!("{self}\n")
    }
}
