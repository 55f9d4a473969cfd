//! Why somebody answers a gate, or gives a promotion up.

/// The longest reason: it lies in an audit entry, in a statement and in a cause.
const BYTES_MAX: usize = 2_000;

/// The reason as it is kept; none when it is empty, a book, or no plain text: PostgreSQL takes no NUL, and a
/// terminal that shows a cause would obey other control characters.
pub(super) fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    // A form ends its lines with both.
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let good = !text.is_empty() && text.len() <= BYTES_MAX && text.chars().all(is_plain);
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_plain_text_of_some_lines_and_not_a_book() {
        let long = "x".repeat(BYTES_MAX);
        for good in [
            "the tag is locked",
            "first\r\n\tsecond\nthird",
            "gesperrt, öfters",
            &long,
        ] {
            assert_eq!(parse(&format!(" {good}\n")).as_deref(), Some(good));
        }
        let book = format!("{long}x");
        for bad in [
            "",
            " \n",
            "a\0b",
            "\u{1b}[2J gone",
            "a\u{7f}",
            "a\u{85}b",
            &book,
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
