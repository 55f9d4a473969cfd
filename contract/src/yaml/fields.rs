//! A map as a fixed set of keys: what nobody asked for is an unknown key.

use crate::complaint::{Code, Complaints, Span, Spanned, quoted};
use crate::yaml::values::{is_null, wrong_type};
use crate::yaml::{Kind, Node};

/// A key this similar to an unknown one is offered in its place.
const SIMILARITY_MIN: f64 = 0.6;

/// The keys of one map. Every key is asked for once; [`Fields::finish`] complains about the rest.
pub(crate) struct Fields<'n> {
    /// The whole map.
    pub(crate) span: Span,
    what: &'static str,
    entries: Vec<Entry<'n>>,
    asked: Vec<&'static str>,
}

struct Entry<'n> {
    key: &'n Spanned<String>,
    value: &'n Node,
    taken: bool,
}

/// Reads a map with known keys; nothing at all (`push:`) is an empty one.
pub(crate) fn fields<'n>(
    node: &'n Node,
    what: &'static str,
    complaints: &mut Complaints<'_>,
) -> Option<Fields<'n>> {
    let entries = entries(node, what, complaints)?
        .iter()
        .map(|(key, value)| Entry {
            key,
            value,
            taken: false,
        })
        .collect();
    Some(Fields {
        span: node.span,
        what,
        entries,
        asked: Vec::new(),
    })
}

/// Reads a map whose keys are free.
pub(crate) fn entries<'n>(
    node: &'n Node,
    what: &'static str,
    complaints: &mut Complaints<'_>,
) -> Option<&'n [(Spanned<String>, Node)]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Text { .. } if is_null(node) => Some(&[]),
        Kind::Text { .. } | Kind::List(_) => {
            wrong_type(node, what, "a map (`key: value`)", complaints);
            None
        }
    }
}

impl<'n> Fields<'n> {
    /// The key's own place, when it is there. Asking for it makes it a known key.
    pub(crate) fn key(&mut self, key: &'static str) -> Option<Span> {
        self.entry(key).map(|entry| entry.key.span)
    }

    /// The key's value, when it is there.
    pub(crate) fn optional(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|entry| entry.value)
    }

    /// The key's value; a complaint when it is not there.
    pub(crate) fn required(
        &mut self,
        key: &'static str,
        complaints: &mut Complaints<'_>,
    ) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            let label = format!("`{key}` is missing here");
            complaints.error(Code::MissingKey, self.span, message, label);
        }
        found
    }

    /// Complains about every key that nobody asked for.
    pub(crate) fn finish(self, complaints: &mut Complaints<'_>) {
        for entry in self.entries.iter().filter(|entry| !entry.taken) {
            let key = &entry.key.value;
            let message = format!("{} has no key {}", self.what, quoted(key));
            let label = nearest(key, self.asked.iter().copied()).map_or_else(
                || "unknown key".to_owned(),
                |n| format!("did you mean `{n}`?"),
            );
            complaints
                .error(Code::UnknownKey, entry.key.span, message, label)
                .help(format!("the keys here are {}", self.asked.join(", ")));
        }
    }

    /// A key that stands twice was complained about before; the last one counts.
    fn entry(&mut self, key: &'static str) -> Option<&Entry<'n>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let mut found = None;
        for entry in self.entries.iter_mut().filter(|e| e.key.value == key) {
            entry.taken = true;
            found = Some(&*entry);
        }
        found
    }
}

/// The word that somebody probably meant.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word: String = word.chars().take(60).collect::<String>().to_lowercase();
    let word = word.replace('_', "-");
    known
        .map(|candidate| {
            let swapped = strsim::normalized_damerau_levenshtein(&word, candidate);
            let begun = strsim::jaro_winkler(&word, candidate) - 0.15;
            (swapped.max(begun), candidate)
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The language's version, which every file says.
pub(crate) fn version(keys: &mut Fields<'_>, complaints: &mut Complaints<'_>) {
    let Some(node) = keys.required("version", complaints) else {
        return;
    };
    match &node.kind {
        Kind::Text { text, .. } if text == "1" => {}
        Kind::Text { .. } | Kind::List(_) | Kind::Map(_) => {
            let message = "this version of the language is not known";
            complaints
                .error(
                    Code::UnsupportedVersion,
                    node.span,
                    message,
                    "only 1 is known",
                )
                .help("write `version: 1`");
        }
    }
}
