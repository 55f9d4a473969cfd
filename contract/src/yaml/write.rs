//! Writes YAML that reads back as what was written.

use crate::yaml::values::is_guessed;
use std::fmt::Write as _;

/// A document in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    /// The document.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// A map below a key.
    pub(crate) fn map(&mut self, key: &str, inner: impl FnOnce(&mut Self)) {
        self.line(&format!("{}:", key_word(key)));
        self.depth += 1;
        inner(self);
        self.depth -= 1;
    }

    /// A value that needs no quotes.
    pub(crate) fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(&format!("{}: {value}", key_word(key)));
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        let quoted = word(text);
        self.raw(key, quoted);
    }

    /// A list of texts on one line.
    pub(crate) fn texts<'t>(&mut self, key: &str, texts: impl IntoIterator<Item = &'t str>) {
        let words: Vec<String> = texts.into_iter().map(word).collect();
        self.raw(key, format!("[{}]", words.join(", ")));
    }

    /// A text of many lines, as it is where that is possible.
    pub(crate) fn block(&mut self, key: &str, text: &str) {
        let Some(chomp) = block_indicator(text) else {
            return self.text(key, text);
        };
        self.raw(key, format!("|{chomp}"));
        self.depth += 1;
        for line in text.lines() {
            self.line(line);
        }
        self.depth -= 1;
    }

    /// A remark.
    pub(crate) fn comment(&mut self, text: &str) {
        for line in crate::complaint::visible(text).lines() {
            self.line(&format!("# {line}"));
        }
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.out.push('\n');
    }

    fn line(&mut self, text: &str) {
        if !text.is_empty() {
            for _ in 0..self.depth {
                self.out.push_str("  ");
            }
            self.out.push_str(text);
        }
        self.out.push('\n');
    }
}

/// How a text is written as a block, when it can be.
fn block_indicator(text: &str) -> Option<&'static str> {
    let first_visible = text.starts_with(|c: char| !c.is_whitespace());
    let plain = text.chars().all(|c| c == '\n' || c == '\t' || is_plain(c));
    let tail = text.len() - text.trim_end_matches('\n').len();
    match tail {
        0 if first_visible && plain => Some("-"),
        1 if first_visible && plain => Some(""),
        _ => None,
    }
}

fn is_plain(c: char) -> bool {
    let mut shown = String::new();
    crate::complaint::push_visible(&mut shown, c);
    shown.chars().eq(std::iter::once(c))
}

/// A text on one line: plain when no reader could mistake it, else in double quotes.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._/-@+".contains(&b));
    if plain && !is_guessed(text) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_plain(c) => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// A key; `on` is the one of the language's own that YAML 1.1 takes for a truth value.
fn key_word(key: &str) -> String {
    if key == "on" {
        return key.to_owned();
    }
    word(key)
}
