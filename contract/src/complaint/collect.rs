//! Gathers complaints while a file is read and checked.

use crate::complaint::render::snippet;
use crate::complaint::source::Source;
use crate::complaint::{Code, Complaint, Severity, Span, visible};
use std::ops::Range;

/// Complaints that are listed; nobody mends more than these at once, and a hostile file could make
/// one for each of its bytes.
pub const COMPLAINTS_MAX: usize = 200;

/// A file while it is checked: its text, and what was found.
#[derive(Debug)]
pub struct Complaints<'a> {
    source: Source<'a>,
    found: Vec<Found>,
    errors: usize,
}

#[derive(Debug)]
struct Found {
    code: String,
    severity: Severity,
    span: Span,
    message: String,
    label: String,
    help: Option<String>,
}

impl<'a> Complaints<'a> {
    /// About this file.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            source: Source::new(file, text),
            found: Vec::new(),
            errors: 0,
        }
    }

    /// The file's text.
    pub fn source(&self) -> &'a str {
        self.source.text
    }

    /// Whether no error was found.
    pub fn is_empty(&self) -> bool {
        self.errors == 0
    }

    /// Adds an error about a range of bytes. `label` stands beside the marks, `help` below.
    pub fn add(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let span = Span::new(span.start, span.end);
        let (message, label) = (message.into(), label.into());
        let found = self.push(Severity::Error, code.as_str(), span, message, label);
        if let Some(help) = help {
            found.help(help);
        }
    }

    /// An error of one of the languages' own rules.
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Help<'_> {
        self.push(
            Severity::Error,
            code.as_str(),
            span,
            message.into(),
            label.into(),
        )
    }

    /// A warning.
    pub(crate) fn warn(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Help<'_> {
        self.push(
            Severity::Warning,
            code.as_str(),
            span,
            message.into(),
            label.into(),
        )
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &str,
        span: Span,
        message: String,
        label: String,
    ) -> Help<'_> {
        self.errors += usize::from(severity == Severity::Error);
        self.found.push(Found {
            code: code.to_owned(),
            severity,
            span,
            message,
            label,
            help: None,
        });
        Help(self.found.last_mut().map(|found| &mut found.help))
    }

    /// All complaints, in the order of the file.
    pub fn finish(mut self) -> Vec<Complaint> {
        self.found
            .sort_by(|a, b| (a.span, &a.code).cmp(&(b.span, &b.code)));
        self.found
            .dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
        let more = self.found.len().saturating_sub(COMPLAINTS_MAX);
        if more > 0 {
            self.found.truncate(COMPLAINTS_MAX);
            let span = self.found.last().map(|f| f.span).unwrap_or_default();
            self.error(
                Code::TooManyComplaints,
                span,
                format!("{more} further complaints are not listed"),
                "mend those above first",
            );
        }
        let Self { source, found, .. } = self;
        let complaints = found.into_iter();
        complaints.map(|found| complaint(&source, found)).collect()
    }
}

/// The place for a complaint's help.
pub(crate) struct Help<'c>(Option<&'c mut Option<String>>);

impl Help<'_> {
    /// How to mend it.
    pub(crate) fn help(self, text: impl Into<String>) {
        if let Some(place) = self.0 {
            *place = Some(text.into());
        }
    }
}

fn complaint(source: &Source<'_>, found: Found) -> Complaint {
    let Found {
        code,
        severity,
        span,
        message,
        label,
        help,
    } = found;
    let place = source.place(span);
    let (snippet, mark) = snippet(source, place);
    Complaint {
        severity,
        message: visible(&message),
        file: visible(source.file),
        line: place.line,
        column: place.column,
        length: source.text[place.start..place.end].chars().count().max(1),
        start: place.start,
        end: place.end,
        snippet,
        mark,
        label: visible(&label),
        help: help.map(|text| visible(&text)),
        more: Complaint::manual(&code),
        code,
    }
}
