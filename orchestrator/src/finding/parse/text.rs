//! What all report formats share: how they can fail, and how their text is made fit to keep.

/// The report cannot be used. Said to people, so it never quotes the report: a scanner's output may
/// hold the very secret that it found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More bytes than are read.
    #[error("the {format} report has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// The format's name.
        format: &'static str,
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More of something than is read.
    #[error("the {format} report holds more than {limit} {what}")]
    TooMany {
        /// The format's name.
        format: &'static str,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Not that format at all.
    #[error("this is no {format} report: {detail}")]
    Garbage {
        /// The format's name.
        format: &'static str,
        /// Where and why.
        detail: String,
    },
}

/// Refuses too many bytes before anything looks at them.
pub(super) fn bounded(format: &'static str, bytes: &[u8], limit: usize) -> Result<(), Unreadable> {
    if bytes.len() > limit {
        return Err(Unreadable::TooLarge {
            format,
            bytes: bytes.len(),
            limit,
        });
    }
    Ok(())
}

/// Parses JSON; the error names the place and never the value. Nesting is bounded by the parser
/// (128) for what is read and costs no stack for what is skipped.
pub(super) fn json<'a, T: serde::Deserialize<'a>>(
    format: &'static str,
    bytes: &'a [u8],
) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Io => "cannot be read",
            serde_json::error::Category::Syntax => "not JSON",
            serde_json::error::Category::Data => "a value has the wrong type or is missing",
            serde_json::error::Category::Eof => "the JSON ends early",
        };
        Unreadable::Garbage {
            format,
            detail: format!("{kind} at line {} column {}", error.line(), error.column()),
        }
    })
}

/// Makes foreign text fit to store and show: no control and no direction-changing characters (which
/// make a page show something else than what is there), at most `max` characters.
pub(in crate::finding) fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    for (count, character) in text.trim().chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        out.push(match character {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() || misleading(c) => '\u{fffd}',
            c => c,
        });
    }
    out
}

/// The first line, for titles.
pub(in crate::finding) fn clean_line(text: &str, max: usize) -> String {
    clean(text.trim().lines().next().unwrap_or_default(), max)
}

fn misleading(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_loses_what_could_mislead() {
        assert_eq!(clean("abcdef", 3), "abc…");
        assert_eq!(clean("abc", 3), "abc");
        assert_eq!(clean("a\u{202e}b\u{1b}[31m", 20), "a\u{fffd}b\u{fffd}[31m");
        assert_eq!(clean_line("one\ntwo", 20), "one");
    }

    #[test]
    fn an_error_never_quotes_the_report() {
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            #[serde(rename = "n")]
            _n: u32,
        }
        let error = json::<Wanted>("test", br#"{"n": "hunter2"}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
