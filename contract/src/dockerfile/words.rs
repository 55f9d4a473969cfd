//! An instruction as its name, flags and words.

use crate::complaint::{Code, Complaints, Span, Spanned, quoted};
use crate::dockerfile::lines::Line;

/// One instruction.
pub(super) struct Instruction {
    /// In upper case.
    pub(super) name: String,
    pub(super) name_span: Span,
    /// `--key=value`; a flag without a value has an empty one.
    pub(super) flags: Vec<Flag>,
    /// What follows, split at white space.
    pub(super) words: Vec<Spanned<String>>,
    /// What follows, as it is.
    pub(super) rest: String,
}

/// One `--key=value`.
pub(super) struct Flag {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) span: Span,
}

/// White space between words; other kinds were refused before.
fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Splits a logical line.
pub(super) fn instruction(line: &Line, complaints: &mut Complaints<'_>) -> Instruction {
    let mut words = split(line);
    let name = if words.is_empty() {
        Spanned::new(String::new(), line.span(0, 0))
    } else {
        let (start, end) = words.remove(0);
        Spanned::new(
            line.text[start..end].to_ascii_uppercase(),
            line.span(start, end),
        )
    };
    let mut flags = Vec::new();
    while let Some((start, end)) = words.first().copied() {
        let text = &line.text[start..end];
        let Some(flag) = text.strip_prefix("--") else {
            break;
        };
        words.remove(0);
        let span = line.span(start, end);
        if flag.is_empty() || flag.contains(['"', '\'', '\\']) {
            let message = format!("the flag {} is not written plainly", quoted(text));
            complaints
                .error(
                    Code::AmbiguousSyntax,
                    span,
                    message,
                    "builders read this differently",
                )
                .help("write --key=value, without quotes and backslashes");
        }
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        flags.push(Flag {
            key: key.to_ascii_lowercase(),
            value: value.to_owned(),
            span,
        });
    }
    let rest = words.first().map_or("", |(start, _)| &line.text[*start..]);
    Instruction {
        name: name.value,
        name_span: name.span,
        flags,
        rest: rest.trim_end().to_owned(),
        words: words
            .iter()
            .map(|(start, end)| {
                Spanned::new(line.text[*start..*end].to_owned(), line.span(*start, *end))
            })
            .collect(),
    }
}

fn split(line: &Line) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in line.text.char_indices() {
        match (is_blank(c), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }
    words.extend(start.map(|from| (from, line.text.len())));
    words
}

impl Instruction {
    /// What follows, split as ARG and ENV split it: a blank in quotes or after a backslash is part of its
    /// word, and the quotes stay. `None` where a quote or a backslash waits for what does not come.
    pub(super) fn quoted_words(&self) -> Option<Vec<&str>> {
        let (mut words, mut start, mut quote) = (Vec::new(), None, None);
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if quote.is_none() && is_blank(c) {
                words.extend(start.take().map(|from| &self.rest[from..at]));
                continue;
            }
            start.get_or_insert(at);
            match (c, quote) {
                // Between single quotes a backslash is one.
                ('\\', None | Some('"')) => drop(chars.next()?),
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                (_, None | Some(_)) => {}
            }
        }
        words.extend(start.map(|from| &self.rest[from..]));
        quote.is_none().then_some(words)
    }

    /// The sources of ADD or COPY: in the JSON form, or all words but the last.
    pub(super) fn sources(&self) -> Vec<Spanned<String>> {
        let span = match (self.words.first(), self.words.last()) {
            (Some(first), Some(last)) => Span::new(first.span.start, last.span.end),
            (Some(_), None) | (None, _) => self.name_span,
        };
        let json = serde_json::from_str::<Vec<String>>(&self.rest);
        let mut sources: Vec<Spanned<String>> = match json {
            Ok(texts) => texts
                .into_iter()
                .map(|text| Spanned::new(text, span))
                .collect(),
            Err(_) => self.words.clone(),
        };
        sources.pop();
        sources
    }
}
