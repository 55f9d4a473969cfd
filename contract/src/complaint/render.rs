//! A complaint as people read it, in a terminal and on a page.

use crate::complaint::source::{Place, Source};
use crate::complaint::visible::push_visible;
use crate::complaint::{Complaint, Mark, Severity};
use std::fmt;
use unicode_width::UnicodeWidthStr as _;

/// A printed line is cut to this width around its mark: it must fit a terminal of 100 columns with
/// the gutter before it.
const LINE_COLUMNS_MAX: usize = 92;
/// What is kept of the line before a mark that lies far to the right.
const BEFORE_COLUMNS_KEPT: usize = 24;
/// Tabs are expanded to stops of this width.
const TAB_COLUMNS: usize = 4;

/// Bytes of a line looked at on either side of a mark's start: a line may be the whole file, and
/// there may be a complaint for each of its words.
const WINDOW_BYTES: usize = 4 * LINE_COLUMNS_MAX + 64;

/// The line of a place, ready to print.
pub(crate) fn snippet(source: &Source<'_>, place: Place) -> (String, Mark) {
    let (line_start, line) = source.line(place.line);
    let at = (place.start - line_start).min(line.len());
    let window = line.floor_char_boundary(at.saturating_sub(WINDOW_BYTES))
        ..line.ceil_char_boundary((at + WINDOW_BYTES).min(line.len()));
    let cells = cells(&line[window.clone()]);
    let first = cells_before(&cells, at - window.start);
    let last = if place.end_line > place.line {
        cells.len()
    } else {
        cells_before(&cells, place.end.saturating_sub(line_start + window.start)).max(first)
    };
    cut(&cells, first, last, window.start > 0)
}

/// One character as it is shown.
struct Cell {
    /// Its first byte in the line.
    at: usize,
    shown: String,
    width: usize,
}

fn cells(line: &str) -> Vec<Cell> {
    let mut column = 0;
    line.char_indices()
        .map(|(at, c)| {
            let mut shown = String::new();
            if c == '\t' {
                shown = " ".repeat(TAB_COLUMNS - column % TAB_COLUMNS);
            } else {
                push_visible(&mut shown, c);
            }
            let width = shown.width();
            column += width;
            Cell { at, shown, width }
        })
        .collect()
}

fn cells_before(cells: &[Cell], at: usize) -> usize {
    cells.partition_point(|cell| cell.at < at)
}

fn width(cells: &[Cell]) -> usize {
    cells.iter().map(|cell| cell.width).sum()
}

/// The line around its mark, with `…` where it was cut.
fn cut(cells: &[Cell], first: usize, last: usize, already: bool) -> (String, Mark) {
    let mut from = 0;
    if already || width(&cells[..last]) > LINE_COLUMNS_MAX {
        let mut kept = 0;
        from = first;
        while from > 0 && kept + cells[from - 1].width <= BEFORE_COLUMNS_KEPT {
            from -= 1;
            kept += cells[from].width;
        }
    }
    let mut text = String::new();
    if already || from > 0 {
        text.push('…');
    }
    let mut column = text.width();
    let (mut before, mut marked) = (column, 0);
    for (index, cell) in cells.iter().enumerate().skip(from) {
        if column + cell.width >= LINE_COLUMNS_MAX {
            text.push('…');
            break;
        }
        if index < first {
            before += cell.width;
        } else if index < last {
            marked += cell.width;
        }
        column += cell.width;
        text.push_str(&cell.shown);
    }
    let kept = text.trim_end().len();
    text.truncate(kept);
    let width = marked.max(1);
    (text, Mark { before, width })
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (line, column) = (self.line, self.column);
        let gutter = " ".repeat(line.to_string().len() + 2);
        writeln!(f, "{severity}[{}]: {}", self.code, self.message)?;
        writeln!(f, "{}--> {}:{line}:{column}", &gutter[1..], self.file)?;
        // An empty file has no line to show.
        if self.end > 0 || !self.snippet.is_empty() {
            let before = " ".repeat(self.mark.before);
            let marks = "^".repeat(self.mark.width);
            writeln!(f, "{gutter}|")?;
            writeln!(f, " {line} | {}", self.snippet)?;
            let marked = format!("{gutter}| {before}{marks} {}", self.label);
            writeln!(f, "{}", marked.trim_end())?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{gutter}= help: {help}")?;
        }
        write!(f, "{gutter}= more: {}", self.more)
    }
}

#[cfg(test)]
mod tests {
    use crate::complaint::{Code, Complaints, Span};

    fn shown(text: &str, start: usize, end: usize) -> String {
        let mut complaints = Complaints::new("a.yml", text);
        complaints
            .error(
                Code::UnknownKey,
                Span::new(start, end),
                "no such key",
                "here",
            )
            .help("nothing helps");
        complaints.finish()[0].to_string()
    }

    #[test]
    fn a_complaint_shows_the_line_with_marks_under_what_is_wrong() {
        insta::assert_snapshot!(shown("a: 1\nstesp: 2\n", 5, 10), @r"
        error[unknown-key]: no such key
          --> a.yml:2:1
           |
         2 | stesp: 2
           | ^^^^^ here
           = help: nothing helps
           = more: docs/language.md#unknown-key
        ");
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_marks_under_their_word() {
        insta::assert_snapshot!(shown("\t日本 key: 1", 8, 11), @r"
        error[unknown-key]: no such key
          --> a.yml:1:5
           |
         1 |     日本 key: 1
           |          ^^^ here
           = help: nothing helps
           = more: docs/language.md#unknown-key
        ");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_wrong() {
        let text = format!("{}key{}", "x".repeat(5_000), "y".repeat(5_000));
        insta::assert_snapshot!(shown(&text, 5_000, 5_003), @r"
        error[unknown-key]: no such key
          --> a.yml:1:5001
           |
         1 | …xxxxxxxxxxxxxxxxxxxxxxxxkeyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
           |                          ^^^ here
           = help: nothing helps
           = more: docs/language.md#unknown-key
        ");
    }

    #[test]
    fn a_terminal_never_gets_an_escape_sequence_of_the_file() {
        let text = "a\u{1b}[31m\u{202e}b\u{9b}: 1";
        let out = shown(text, 0, 5);
        insta::assert_snapshot!(out, @r"
        error[unknown-key]: no such key
          --> a.yml:1:1
           |
         1 | a␛[31m<U+202E>b<U+009B>: 1
           | ^^^^^ here
           = help: nothing helps
           = more: docs/language.md#unknown-key
        ");
        assert!(!out.contains('\u{1b}'));
    }
}
