//! What of an answer is shown, and how.

use serde_json::Value;

/// A key's text; none is an empty one.
pub(super) fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

/// The values of a key's list.
pub(super) fn each<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Foreign text must not redraw the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(super::printable("a\u{1b}[2Jb\n"), "a\u{FFFD}[2Jb\n");
    }
}
