//! Values of the languages: texts, lists, names, units.

use crate::complaint::{Code, Complaints, Span, Spanned, quoted};
use crate::name::Name;
use crate::yaml::fields::nearest;
use crate::yaml::{Kind, Node};

/// A single text, unless its reader says otherwise.
const TEXT_BYTES_MAX: usize = 1024;

/// Words that one reader of YAML or another takes for a truth value or nothing.
const GUESSED: &[&str] = &[
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~",
];

/// What YAML takes for nothing where no quotes stand; the reader gives `~` for what is left out.
const NOTHING: &[&str] = &["", "~", "null", "Null", "NULL"];

/// Nothing stands after the key.
pub(crate) fn is_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Text { text, plain: true } if NOTHING.contains(&text.as_str()))
}

pub(crate) fn wrong_type(node: &Node, what: &str, wanted: &str, complaints: &mut Complaints<'_>) {
    let found = match &node.kind {
        Kind::Text { .. } if is_null(node) => "nothing",
        Kind::Text { .. } => "a text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
    };
    let message = format!("{what} is {wanted}");
    complaints.error(
        Code::WrongType,
        node.span,
        message,
        format!("this is {found}"),
    );
}

/// The text as it is written, whatever YAML would make of it.
fn scalar<'n>(
    node: &'n Node,
    what: &str,
    wanted: &str,
    complaints: &mut Complaints<'_>,
) -> Option<&'n str> {
    match &node.kind {
        Kind::Text { text, .. } if !is_null(node) => Some(text),
        Kind::Text { .. } | Kind::List(_) | Kind::Map(_) => {
            wrong_type(node, what, wanted, complaints);
            None
        }
    }
}

/// Whether some reader of YAML would not see a text in this unquoted word.
pub(crate) fn is_guessed(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_start_matches(['+', '-']);
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (digits.replace('_', "").parse::<f64>().is_ok()
            || digits.starts_with("0x")
            || digits.starts_with("0o"));
    // 12:30:45 is a number to base 60 for YAML 1.1.
    let sixties = digits.contains(':')
        && digits
            .split(':')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    number || sixties || matches!(digits, ".inf" | ".nan") || GUESSED.contains(&lower.as_str())
}

fn complain_guessed(text: &str, span: Span, complaints: &mut Complaints<'_>) {
    let message = format!("{} is not a text for every reader of YAML", quoted(text));
    complaints
        .error(Code::AmbiguousString, span, message, "wanted as a text")
        .help(format!(
            "put it in quotes: \"{}\"",
            text.chars().take(60).collect::<String>()
        ));
}

/// A text; what YAML would turn into something else must be in quotes.
pub(crate) fn text(
    node: &Node,
    what: &str,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<String>> {
    text_up_to(node, what, TEXT_BYTES_MAX, complaints)
}

/// A text of at most so many bytes.
pub(crate) fn text_up_to(
    node: &Node,
    what: &str,
    bytes_max: usize,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<String>> {
    let value = scalar(node, what, "a text", complaints)?;
    if matches!(node.kind, Kind::Text { plain: true, .. }) && is_guessed(value) {
        complain_guessed(value, node.span, complaints);
        return None;
    }
    if value.len() > bytes_max {
        let label = format!("at most {bytes_max} bytes");
        complaints.error(
            Code::TooLong,
            node.span,
            format!("{what} is too long"),
            label,
        );
        return None;
    }
    if value.contains('\0') {
        let message = format!("{what} holds a zero byte");
        complaints.error(
            Code::UnknownValue,
            node.span,
            message,
            "no program takes it",
        );
        return None;
    }
    Some(Spanned::new(value.to_owned(), node.span))
}

/// A list of at most so many values.
pub(crate) fn list<'n>(
    node: &'n Node,
    what: &str,
    max: usize,
    complaints: &mut Complaints<'_>,
) -> Option<&'n [Node]> {
    let Kind::List(items) = &node.kind else {
        wrong_type(node, what, "a list (`[a, b]`)", complaints);
        return None;
    };
    if items.len() > max {
        let message = format!("{what} has {} entries", items.len());
        let label = format!("at most {max}");
        complaints.error(Code::TooLong, node.span, message, label);
        return None;
    }
    Some(items)
}

/// A list of texts.
pub(crate) fn texts(
    node: &Node,
    what: &str,
    max: usize,
    complaints: &mut Complaints<'_>,
) -> Option<Vec<Spanned<String>>> {
    let items = list(node, what, max, complaints)?;
    let entry = format!("an entry of {what}");
    Some(
        items
            .iter()
            .filter_map(|item| text(item, &entry, complaints))
            .collect(),
    )
}

/// A name.
pub(crate) fn name(
    node: &Node,
    what: &str,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<Name>> {
    let found = text(node, what, complaints)?;
    keyed(&found, complaints)
}

/// A key that is a name.
pub(crate) fn keyed(
    key: &Spanned<String>,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<Name>> {
    if let Ok(name) = Name::parse(&key.value) {
        if is_guessed(&key.value) {
            let message = format!("{} cannot be a name", quoted(&key.value));
            complaints
                .error(
                    Code::AmbiguousString,
                    key.span,
                    message,
                    "YAML takes it for yes or no",
                )
                .help("choose another name");
            return None;
        }
        return Some(Spanned::new(name, key.span));
    }
    let message = format!("{} is not a name", quoted(&key.value));
    complaints
        .error(Code::BadName, key.span, message, "not a name")
        .help("1 to 39 lower-case letters, digits and inner hyphens, a letter first");
    None
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&'static str, T)],
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<T>> {
    let value = scalar(node, what, "a word", complaints)?;
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == value) {
        return Some(Spanned::new(*found, node.span));
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let label = nearest(value, known.iter().copied())
        .map_or_else(|| "unknown".to_owned(), |n| format!("did you mean `{n}`?"));
    let message = format!("{what} cannot be {}", quoted(value));
    complaints
        .error(Code::UnknownValue, node.span, message, label)
        .help(format!("possible: {}", known.join(", ")));
    None
}

/// A whole number between bounds.
pub(crate) fn integer(
    node: &Node,
    what: &str,
    range: std::ops::RangeInclusive<u64>,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<u64>> {
    let value = scalar(node, what, "a whole number", complaints)?;
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let quotes = matches!(node.kind, Kind::Text { plain: false, .. });
    match value.parse() {
        Ok(number) if digits && !quotes && range.contains(&number) => {
            Some(Spanned::new(number, node.span))
        }
        Ok(_) | Err(_) => {
            let (from, to) = range.into_inner();
            let message = format!("{what} is a whole number from {from} to {to}");
            let label = if quotes {
                "a text in quotes"
            } else {
                "not one"
            };
            complaints.error(Code::BadUnit, node.span, message, label);
            None
        }
    }
}

/// A duration in milliseconds: `500ms`, `30s`, `10m`, `1h`, `7d`.
pub(crate) fn duration_ms(
    node: &Node,
    what: &str,
    max_ms: u64,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<u64>> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let help = "a whole number and a unit: 500ms, 30s, 10m, 1h, 7d";
    with_unit(
        node,
        (what, "a duration"),
        &units,
        (max_ms, shown_duration(max_ms)),
        help,
        complaints,
    )
}

/// A size in bytes: `64KiB`, `512MiB`, `4GiB`.
pub(crate) fn byte_size(
    node: &Node,
    what: &str,
    max: u64,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<u64>> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let help = "a whole number and a unit: 64KiB, 512MiB, 4GiB";
    with_unit(
        node,
        (what, "a size"),
        &units,
        (max, shown_size(max)),
        help,
        complaints,
    )
}

fn with_unit(
    node: &Node,
    (what, wanted): (&str, &str),
    units: &[(&str, u64)],
    (max, max_shown): (u64, String),
    help: &str,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<u64>> {
    let value = scalar(node, what, wanted, complaints)?;
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let factor = units.iter().find(|(unit, _)| *unit == &value[digits..]);
    let number = value[..digits].parse::<u64>().ok();
    let found = factor.and_then(|(_, factor)| number?.checked_mul(*factor));
    let (message, label) = match found {
        Some(found) if found > 0 && found <= max => return Some(Spanned::new(found, node.span)),
        Some(0) => (format!("{what} is more than nothing"), "nothing".to_owned()),
        Some(_) => (
            format!("{what} is too large"),
            format!("at most {max_shown}"),
        ),
        None if digits == value.len() && digits > 0 => {
            (format!("{what} has no unit"), "which unit?".to_owned())
        }
        None => (format!("{what} is {wanted}"), "not one".to_owned()),
    };
    complaints
        .error(Code::BadUnit, node.span, message, label)
        .help(help);
    None
}

/// CPU time in thousandths: `1`, `1.5`, `0.25`.
pub(crate) fn cpu_milli(
    node: &Node,
    what: &str,
    max_milli: u64,
    complaints: &mut Complaints<'_>,
) -> Option<Spanned<u64>> {
    let value = scalar(node, what, "a number of CPUs", complaints)?;
    if let Some(milli) = parse_milli(value).filter(|milli| (10..=max_milli).contains(milli)) {
        return Some(Spanned::new(milli, node.span));
    }
    let message = format!(
        "{what} is a number of CPUs from 0.01 to {}",
        max_milli / 1000
    );
    complaints
        .error(Code::BadUnit, node.span, message, "not one")
        .help("write 1, 1.5 or 0.25");
    None
}

fn parse_milli(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= 6 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let part = format!("{part:0<3}").parse::<u64>().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + part)
}

/// A duration in the largest unit that says it exactly.
pub(crate) fn shown_duration(ms: u64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    match units
        .iter()
        .find(|(factor, _)| ms > 0 && ms.is_multiple_of(*factor))
    {
        Some((factor, unit)) => format!("{}{unit}", ms / factor),
        None => format!("{ms}ms"),
    }
}

/// A size in the largest unit that says it exactly.
pub(crate) fn shown_size(bytes: u64) -> String {
    let units: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units
        .iter()
        .find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor))
    {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes} bytes"),
    }
}

/// Thousandths of a CPU as a number of CPUs.
pub(crate) fn shown_cpu(milli: u64) -> String {
    let part = format!("{:03}", milli % 1000);
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        (milli / 1000).to_string()
    } else {
        format!("{}.{part}", milli / 1000)
    }
}
