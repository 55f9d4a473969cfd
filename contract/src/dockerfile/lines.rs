//! From the file to logical lines: continuations joined, comments left out, as BuildKit's parser
//! does it (`frontend/dockerfile/parser`).

use crate::complaint::{Code, Complaints, Span};
use crate::dockerfile::rules::INSTRUCTIONS;

/// One instruction as text, with the place in the file of each of its bytes.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    places: Vec<usize>,
    end: usize,
}

impl Line {
    /// The place in the file of a range of the text.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| self.places.get(at).copied().unwrap_or(self.end);
        let last = end.checked_sub(1).filter(|last| *last >= start).map(place);
        Span::new(place(start), last.map_or(place(start), |last| last + 1))
    }

    fn push(&mut self, text: &str, at: usize) {
        self.text.push_str(text);
        self.places.extend(at..at + text.len());
        self.end = at + text.len();
    }
}

/// The logical lines, and complaints about what cannot be read in one way only.
pub(super) fn lines(complaints: &mut Complaints<'_>) -> Vec<Line> {
    let source = complaints.source();
    odd_characters(source, complaints);
    let body = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut at = source.len() - body.len();
    let mut found: Vec<Line> = Vec::new();
    let mut open: Option<Open> = None;
    for raw in body.split_inclusive('\n') {
        let physical = Physical::new(raw, at);
        at += raw.len();
        open = match open.take() {
            Some(line) => line.goes_on(&physical, &mut found, complaints),
            None if physical.trimmed.is_empty() || physical.trimmed.starts_with('#') => None,
            None => Open::begin().with(&physical, physical.indent, &mut found, complaints),
        };
    }
    found.extend(open.map(|open| open.line));
    found
}

/// One line of the file.
struct Physical<'s> {
    /// Without its line end.
    text: &'s str,
    at: usize,
    /// Without white space before.
    trimmed: &'s str,
    indent: usize,
}

impl<'s> Physical<'s> {
    fn new(raw: &'s str, at: usize) -> Self {
        let text = raw.strip_suffix('\n').unwrap_or(raw);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let trimmed = text.trim_start();
        Self {
            text,
            at,
            trimmed,
            indent: text.len() - trimmed.len(),
        }
    }
}

/// An instruction that goes on in the next line.
struct Open {
    line: Line,
    /// An indented comment stood in it: older builders see the instruction's end there.
    may_have_ended: bool,
}

impl Open {
    fn begin() -> Self {
        Self {
            line: Line {
                text: String::new(),
                places: Vec::new(),
                end: 0,
            },
            may_have_ended: false,
        }
    }

    fn goes_on(
        mut self,
        physical: &Physical<'_>,
        found: &mut Vec<Line>,
        complaints: &mut Complaints<'_>,
    ) -> Option<Self> {
        if physical.trimmed.is_empty() {
            return Some(self);
        }
        if physical.trimmed.starts_with('#') {
            let continued = physical.trimmed.trim_end().ends_with('\\');
            self.may_have_ended |= physical.indent > 0 && !continued;
            return Some(self);
        }
        let word = physical.trimmed.split_whitespace().next().unwrap_or("");
        let instruction = INSTRUCTIONS.iter().any(|i| i.eq_ignore_ascii_case(word));
        if self.may_have_ended && instruction {
            let start = physical.at + physical.indent;
            let span = Span::new(start, start + word.len());
            let message = "not every builder reads this line as part of the instruction above";
            complaints
                .error(
                    Code::AmbiguousSyntax,
                    span,
                    message,
                    "an instruction, or not?",
                )
                .help("begin comments between continued lines in the first column");
        }
        self.with(physical, 0, found, complaints)
    }

    /// Takes a line in, from a column; what is not continued is finished.
    fn with(
        mut self,
        physical: &Physical<'_>,
        from: usize,
        found: &mut Vec<Line>,
        complaints: &mut Complaints<'_>,
    ) -> Option<Self> {
        let content = physical.text.trim_end_matches([' ', '\t']);
        let Some(kept) = content.strip_suffix('\\').filter(|k| k.len() >= from) else {
            self.line.push(&physical.text[from..], physical.at + from);
            found.push(self.line);
            return None;
        };
        if kept.ends_with('\\') {
            let end = physical.at + content.len();
            let message = "not every builder takes two backslashes for the end of the line";
            complaints
                .error(
                    Code::AmbiguousSyntax,
                    Span::new(end - 2, end),
                    message,
                    "continued, or not?",
                )
                .help("write one backslash to continue the line");
        }
        self.line.push(&kept[from..], physical.at + from);
        Some(self)
    }
}

/// White space that builders know or do not know as such, and characters that nobody sees.
fn odd_characters(source: &str, complaints: &mut Complaints<'_>) {
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let line_end = c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n');
        let bom = c == '\u{feff}' && at == 0;
        let odd = (c.is_whitespace() || c.is_control()) && !matches!(c, ' ' | '\t' | '\n');
        if (odd && !line_end) || (c == '\u{feff}' && !bom) {
            let span = Span::new(at, at + c.len_utf8());
            let message = "a character that builders read in different ways";
            let label = format!("U+{:04X}", u32::from(c));
            complaints.error(Code::AmbiguousSyntax, span, message, label);
        }
    }
}
