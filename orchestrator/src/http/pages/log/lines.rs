//! A step's log as people read it: numbered lines, a section for each command, colours as classes.
//! Pure: the same bytes give the same lines under the same numbers, live and after a reload.

use contract::protocol::LOG_SECTION_PREFIX;
use serde::Serialize;

/// A longer line is shown up to here and says so: nobody reads further, and a page has to end.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024;

/// What stands in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Item {
    /// A command begins. It has no number: the markers are ours, not the command's.
    Section(String),
    /// A line.
    Line(Line),
}

/// A line with its number, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) spans: Vec<Span>,
}

/// A part of a line in one look: classes of the stylesheet, empty for the usual one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    pub(super) class: String,
    pub(super) text: String,
}

/// Where a line begins and which number it has, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: i64,
    pub(super) line: usize,
    /// The offset lies within a line whose beginning was given already.
    pub(super) inside: bool,
}

/// What to do with a last line that has no end yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The log goes on: wait for the line's end.
    Hold,
    /// No more will come of it, or it is too long to wait for.
    Give,
}

impl Place {
    /// The beginning of a log.
    pub(super) const START: Self = Self {
        offset: 0,
        line: 1,
        inside: false,
    };

    /// Gives each line of the bytes that are stored from here on and moves behind it; stops before a
    /// line that `each` does not want.
    pub(super) fn walk(
        &mut self,
        mut bytes: &[u8],
        rest: Rest,
        mut each: impl FnMut(Self, &[u8]) -> bool,
    ) -> bool {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            if end.is_none() && rest == Rest::Hold {
                return true;
            }
            let (line, after) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            if !self.inside {
                if !each(*self, line) {
                    return false;
                }
                if !is_section(line) {
                    self.line += 1;
                }
            }
            self.inside = end.is_none();
            let length = i64::try_from(line.len()).unwrap_or(i64::MAX);
            self.offset = self.offset.saturating_add(length);
            bytes = after;
        }
        true
    }
}

fn is_section(line: &[u8]) -> bool {
    line.starts_with(LOG_SECTION_PREFIX.as_bytes())
}

/// What a line's bytes say, with or without their end.
pub(super) fn item(place: Place, line: &[u8]) -> Item {
    if is_section(line) {
        return Item::Section(title(line).unwrap_or_default());
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = floor(line, LINE_BYTES_MAX);
    let mut spans = spans(&String::from_utf8_lossy(&line[..shown]));
    if shown < line.len() {
        spans.push(Span {
            class: "a2".to_owned(),
            text: " … the rest of this line is in the raw log".to_owned(),
        });
    }
    Item::Line(Line {
        number: place.line,
        spans,
    })
}

/// The title, when the line opens a section.
pub(super) fn title(line: &[u8]) -> Option<String> {
    let title = line.strip_prefix(LOG_SECTION_PREFIX.as_bytes())?;
    let shown = floor(title, LINE_BYTES_MAX);
    let text = String::from_utf8_lossy(&title[..shown]);
    Some(text.trim().chars().map(visible).collect())
}

/// The largest length of at most `most` that does not cut a character.
fn floor(bytes: &[u8], most: usize) -> usize {
    let mut length = bytes.len().min(most);
    while 0 < length && length < bytes.len() && bytes[length] & 0xC0 == 0x80 {
        length -= 1;
    }
    length
}

/// Control characters are shown, not obeyed, and so are those that turn a text around.
fn visible(c: char) -> char {
    match c {
        '\t' => c,
        '\u{0}'..='\u{1F}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{FFFD}'),
        '\u{7F}' => '\u{2421}',
        '\u{80}'..='\u{9F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        _ => c,
    }
}

/// The looks that a terminal's escape sequences ask for. A colour ends with its line, so that any part
/// of a log can be shown alone.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut look, mut run) = (Look::default(), String::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let Some((sequence, after)) = escape(rest) else {
            run.push(visible(c));
            rest = &rest[c.len_utf8()..];
            continue;
        };
        if let Sequence::Look(parameters) = sequence {
            push(&mut spans, &look, &mut run);
            look.obey(parameters);
        }
        rest = after;
    }
    push(&mut spans, &look, &mut run);
    spans
}

fn push(spans: &mut Vec<Span>, look: &Look, run: &mut String) {
    if !run.is_empty() {
        spans.push(Span {
            class: look.class(),
            text: std::mem::take(run),
        });
    }
}

/// The text of a line as it is searched: without looks.
pub(super) fn plain(line: &[u8]) -> String {
    let Item::Line(line) = item(Place::START, line) else {
        return title(line).unwrap_or_default();
    };
    line.spans.into_iter().map(|span| span.text).collect()
}

enum Sequence<'a> {
    /// Select graphic rendition, with its parameters.
    Look(&'a str),
    /// One that moves the cursor, sets a window's title and the like: it has no meaning here.
    Other,
}

/// An escape sequence at the beginning of the text, and what follows it (ECMA-48, 5.4 and 8.3.89).
fn escape(text: &str) -> Option<(Sequence<'_>, &str)> {
    let body = text.strip_prefix('\u{1B}')?;
    if let Some(body) = body.strip_prefix('[') {
        let end = body.find(|c: char| !('\u{20}'..='\u{3F}').contains(&c))?;
        let (parameters, after) = body.split_at(end);
        let last = after.chars().next().filter(|c| ('@'..='~').contains(c))?;
        let after = &after[1..];
        let is_plain = |c: char| c.is_ascii_digit() || c == ';';
        return Some(if last == 'm' && parameters.chars().all(is_plain) {
            (Sequence::Look(parameters), after)
        } else {
            (Sequence::Other, after)
        });
    }
    let body = body.strip_prefix(']')?;
    let (bell, escape) = (body.find('\u{7}'), body.find("\u{1B}\\"));
    let after = match (bell, escape) {
        (Some(bell), Some(escape)) if escape < bell => &body[escape + 2..],
        (Some(bell), _) => &body[bell + 1..],
        (None, Some(escape)) => &body[escape + 2..],
        (None, None) => return None,
    };
    Some((Sequence::Other, after))
}

#[derive(Default)]
struct Look {
    bold: bool,
    dim: bool,
    /// 1 to 6: red, green, yellow, blue, magenta, cyan.
    colour: Option<u8>,
}

impl Look {
    fn obey(&mut self, parameters: &str) {
        // An empty parameter is 0.
        let mut codes = parameters
            .split(';')
            .map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 | 90 => self.dim = true,
                22 => (self.bold, self.dim) = (false, false),
                30..=37 => self.colour = base(code - 30),
                91..=97 => self.colour = base(code - 90),
                39 => self.colour = None,
                // A colour of a larger palette brings parameters of its own.
                38 | 48 => {
                    let chosen = match codes.next() {
                        Some(5) => codes.next(),
                        Some(2) => codes.nth(2).and(None),
                        Some(_) | None => None,
                    };
                    if code == 38 {
                        self.colour = chosen.and_then(|c| base(if c > 7 { c - 8 } else { c }));
                    }
                }
                _ => {}
            }
        }
    }

    fn class(&self) -> String {
        let mut classes = Vec::new();
        if self.bold {
            classes.push("a1".to_owned());
        }
        if self.dim {
            classes.push("a2".to_owned());
        }
        if let Some(colour) = self.colour {
            classes.push(format!("a3{colour}"));
        }
        classes.join(" ")
    }
}

/// Black and white are the page's own ink.
fn base(colour: u16) -> Option<u8> {
    u8::try_from(colour).ok().filter(|c| (1..=6).contains(c))
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
