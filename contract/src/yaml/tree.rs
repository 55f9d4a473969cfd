//! From bytes to a tree.

use crate::complaint::{Code, Complaints, Span, Spanned, quoted};
use crate::yaml::values::is_null;
use granit_parser::{Event, Parser, ScalarStyle};
use std::collections::HashSet;

/// A file that people write; the largest pipeline files in public repositories are below 100 KiB.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Values in one file: 100 steps with 100 values each.
const NODES_MAX: usize = 10_000;
/// Lists and maps inside each other; the language needs eight.
const DEPTH_MAX: usize = 64;

/// A value of the file.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A text; `plain` when it stands without quotes and could be taken for something else.
    Text { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Spanned<String>, Node)>),
}

/// The file as text; bytes that are no UTF-8 are replaced, which [`parse`] then complains about.
pub(crate) fn read_source(bytes: &[u8]) -> (String, Option<Span>) {
    let bytes = &bytes[..bytes.len().min(DOCUMENT_BYTES_MAX + 1)];
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        // The limit may have cut a character in two; the length is then the complaint.
        Err(error) if bytes.len() > DOCUMENT_BYTES_MAX && error.error_len().is_none() => {
            (String::from_utf8_lossy(bytes).into_owned(), None)
        }
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(bytes).into_owned();
            (text, Some(Span::new(at, at + 1)))
        }
    }
}

/// Parses the one document of a file. All that YAML itself can do wrong ends at the first
/// complaint, except keys that stand twice.
pub(crate) fn parse(not_utf8: Option<Span>, complaints: &mut Complaints<'_>) -> Option<Node> {
    let source = complaints.source();
    if source.len() > DOCUMENT_BYTES_MAX {
        let limit = format!("at most {} KiB are read", DOCUMENT_BYTES_MAX / 1024);
        complaints.error(
            Code::TooLarge,
            Span::default(),
            "the file is too large",
            limit,
        );
        return None;
    }
    if let Some(span) = not_utf8 {
        complaints
            .error(Code::NotUtf8, span, "the file is not UTF-8", "this byte")
            .help("save the file as UTF-8");
        return None;
    }
    Builder::new(complaints).read().unwrap_or_default()
}

/// The file cannot be read any further; the complaint is made.
struct Stop;

/// A list or map that is still open.
struct Open {
    span: Span,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<(Spanned<String>, Node)>,
        key: Option<Spanned<String>>,
        seen: HashSet<String>,
    },
}

struct Builder<'c, 'a> {
    complaints: &'c mut Complaints<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

impl<'c, 'a> Builder<'c, 'a> {
    fn new(complaints: &'c mut Complaints<'a>) -> Self {
        Self {
            complaints,
            open: Vec::new(),
            root: None,
            documents: 0,
            nodes: 0,
        }
    }

    fn read(mut self) -> Result<Option<Node>, Stop> {
        let source = self.complaints.source();
        let options = granit_parser::options! {
            emit_comments: false,
            emit_anchor_events: true,
            emit_unresolved_aliases: true,
            disallow_directives: true,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        for next in Parser::new_from_str_with_options(source, options) {
            match next {
                Ok((event, span)) => self.event(event, span)?,
                Err(error) => return Err(self.broken(&error)),
            }
        }
        if self.root.as_ref().is_none_or(is_null) {
            let message = "the file is empty";
            let label = "nothing stands here";
            self.complaints
                .error(Code::EmptyFile, Span::default(), message, label);
            return Err(Stop);
        }
        Ok(self.root)
    }

    fn event(&mut self, event: Event<'_>, span: granit_parser::Span) -> Result<(), Stop> {
        if event.tag().is_some() {
            let tag = span.tag_span().unwrap_or(span);
            return Err(self.stop(Code::YamlTag, place(tag), "tags are not used here", "a tag"));
        }
        if event.is_alias() || matches!(event, Event::UnresolvedAlias(_) | Event::Anchor(..)) {
            let message = "anchors and aliases are not used here";
            let label = "write the value where it belongs";
            return Err(self.stop(Code::YamlAnchor, place(span), message, label));
        }
        let span = place(span);
        if let Event::DocumentStart(..) = event {
            self.documents += 1;
            if self.documents > 1 {
                let message = "a file is one YAML document";
                return Err(self.stop(Code::SecondDocument, span, message, "a second one"));
            }
        } else if let Event::Scalar(text, style, _, _) = event {
            let plain = style == ScalarStyle::Plain;
            let text = text.into_owned();
            self.node(Node {
                span,
                kind: Kind::Text { text, plain },
            })?;
        } else if let Event::SequenceStart(..) = event {
            self.begin(span, OpenKind::List(Vec::new()))?;
        } else if let Event::MappingStart(..) = event {
            let (entries, key, seen) = (Vec::new(), None, HashSet::new());
            self.begin(span, OpenKind::Map { entries, key, seen })?;
        } else if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            self.end(span)?;
        }
        Ok(())
    }

    fn begin(&mut self, span: Span, kind: OpenKind) -> Result<(), Stop> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        self.count(span)?;
        self.open.push(Open { span, kind });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Stop> {
        let Some(Open { span, kind }) = self.open.pop() else {
            return Ok(());
        };
        let span = Span::new(span.start, self.trimmed(span.start, end.end));
        let kind = match kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { entries, .. } => Kind::Map(entries),
        };
        self.place_node(Node { span, kind })
    }

    /// A block ends where the next line begins; people see it end with its last character.
    fn trimmed(&self, start: usize, end: usize) -> usize {
        let text = self.complaints.source();
        text.get(start..end.min(text.len()))
            .map_or(end, |part| start + part.trim_end().len())
    }

    fn node(&mut self, node: Node) -> Result<(), Stop> {
        self.count(node.span)?;
        self.place_node(node)
    }

    fn count(&mut self, span: Span) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = "the file has too many values";
            let label = format!("at most {NODES_MAX} are read");
            return Err(self.stop(Code::TooManyValues, span, message, label));
        }
        Ok(())
    }

    /// Puts a finished value into the list or map around it.
    fn place_node(&mut self, node: Node) -> Result<(), Stop> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key, seen }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Kind::Text { text, .. } = node.kind else {
                        let message = "a key is one word";
                        return Err(self.stop(Code::OddKey, node.span, message, "not a word"));
                    };
                    if !seen.insert(text.clone()) {
                        let message = format!("the key {} stands twice", quoted(&text));
                        let label = "the second one";
                        self.complaints
                            .error(Code::DuplicateKey, node.span, message, label)
                            .help("keep one of them");
                    }
                    *key = Some(Spanned::new(text, node.span));
                }
            },
        }
        Ok(())
    }

    fn broken(&mut self, error: &granit_parser::ScanError) -> Stop {
        let at = error.marker().byte_offset().unwrap_or(0);
        let span = Span::new(at, at + 1);
        if matches!(
            error.kind(),
            granit_parser::ErrorKind::RecursionLimitExceeded
        ) {
            return self.too_deep(span);
        }
        let message = format!("this is not YAML: {}", error.kind());
        self.stop(Code::NotYaml, span, message, "the reader stopped here")
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        let label = format!("at most {DEPTH_MAX} levels are read");
        let span = Span::new(span.start, span.start + 1);
        self.stop(
            Code::TooDeep,
            span,
            "lists and maps are nested too deep",
            label,
        )
    }

    fn stop(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Stop {
        self.complaints.error(code, span, message, label);
        Stop
    }
}

fn place(span: granit_parser::Span) -> Span {
    span.byte_range()
        .map(|range| Span::new(range.start, range.end.max(range.start)))
        .unwrap_or_default()
}
