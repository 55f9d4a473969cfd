//! What a list's address says: filters, and the place from which it goes on (DECISIONS 1).

use super::PageError;
use crate::clock::At;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::digest::Digest;

/// The longest value: a ref's name has at most 255 bytes on most file systems.
const VALUE_BYTES_MAX: usize = 255;
/// The name of the place in an address.
const OLDER: &str = "older";
/// 64 bits of the filters' hash: enough to tell that they changed, and nothing hangs on it.
const HASH_DIGITS: usize = 16;

/// The pairs of a query, as axum reads them.
pub(super) type Query = Vec<(String, String)>;

/// The filters of a list, those that say something, in the order of the page's form.
pub(super) struct Filters {
    path: String,
    pairs: Vec<(&'static str, String)>,
    older: Option<String>,
}

/// A filter that is on, with the address of the same list without it.
pub(super) struct Chip {
    /// What it says, in words.
    pub(super) label: String,
    /// The filter's name.
    pub(super) name: &'static str,
    /// Where to go to be rid of it.
    pub(super) without: String,
}

impl Filters {
    /// Reads the filters of these names; what a form left empty is none.
    pub(super) fn read(
        path: impl Into<String>,
        query: &Query,
        names: &[&'static str],
    ) -> Result<Self, PageError> {
        let mut pairs = Vec::new();
        for name in names {
            let value = query.iter().find(|(key, _)| key == name);
            let value = value.map_or("", |(_, value)| value.trim());
            if value.len() > VALUE_BYTES_MAX {
                let problem = format!("`{name}` is longer than {VALUE_BYTES_MAX} bytes.");
                return Err(PageError::BadQuery(problem));
            }
            if !value.is_empty() {
                pairs.push((*name, value.to_owned()));
            }
        }
        let older = query.iter().find(|(key, _)| key == OLDER);
        Ok(Self {
            path: path.into(),
            pairs,
            older: older.map(|(_, value)| value.clone()),
        })
    }

    /// A filter's value; empty when it is off.
    pub(super) fn get(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// A filter's value, when it is on.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(key, _)| *key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// Whether no filter is on.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether the list begins further down than at its first row.
    pub(super) fn is_further_down(&self) -> bool {
        self.older.is_some()
    }

    /// The list without a filter.
    pub(super) fn clear(&self) -> &str {
        &self.path
    }

    /// The list from its first row on.
    pub(super) fn first(&self) -> String {
        address(&self.path, self.pairs.iter())
    }

    /// The filters that are on; `words` says one in words.
    pub(super) fn chips(&self, words: impl Fn(&str, &str) -> String) -> Vec<Chip> {
        let chip = |(name, value): &(&'static str, String)| Chip {
            label: words(name, value),
            name,
            without: address(&self.path, self.pairs.iter().filter(|(key, _)| key != name)),
        };
        self.pairs.iter().map(chip).collect()
    }

    /// The address of what comes after this row.
    pub(super) fn after(&self, at: i64, id: &str) -> String {
        let text = format!("{at} {id} {}", self.hash());
        let cursor = (OLDER, URL_SAFE_NO_PAD.encode(text));
        address(&self.path, self.pairs.iter().chain([&cursor]))
    }

    /// From which row on; none: from the first. A place in a list of other filters is refused.
    pub(super) fn place(&self) -> Result<Option<(i64, String)>, PageError> {
        let Some(older) = &self.older else {
            return Ok(None);
        };
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(older).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let mut parts = text.split(' ');
            let (at, id, hash) = (parts.next()?, parts.next()?, parts.next()?);
            let whole = parts.next().is_none() && hash == self.hash();
            whole.then_some((at.parse().ok()?, id.to_owned()))
        };
        let problem = "It names a place in a list with other filters. Apply the filters again to \
                       begin with the first row.";
        read()
            .map(Some)
            .ok_or_else(|| PageError::BadQuery(problem.to_owned()))
    }

    fn hash(&self) -> String {
        let text = address(&self.path, self.pairs.iter());
        let mut hex = Digest::of(text.as_bytes()).hex();
        hex.truncate(HASH_DIGITS);
        hex
    }
}

/// A path with a query.
pub(super) fn address<'a>(
    path: &str,
    pairs: impl Iterator<Item = &'a (&'static str, String)>,
) -> String {
    let mut text = path.to_owned();
    for (at, (name, value)) in pairs.enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.extend(value.bytes().flat_map(encode));
    }
    text
}

/// Percent-encodes all but what stays readable and means nothing in a query.
fn encode(byte: u8) -> Vec<char> {
    if byte.is_ascii_alphanumeric() || b"-_.~:/".contains(&byte) {
        vec![char::from(byte)]
    } else {
        format!("%{byte:02X}").chars().collect()
    }
}

/// A day, or a day and a time, in UTC.
pub(super) fn moment(text: &str) -> Option<At> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let moment = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
    Some(At(moment.as_microsecond()))
}

/// What to write instead of a text that is no time.
pub(super) fn no_moment(text: &str) -> String {
    format!("“{text}” is no time: wanted 2026-06-11 or 2026-06-11 14:30.")
}

/// One option of a choice.
pub(super) struct Choice {
    /// The value in the address; empty: any.
    pub(super) value: String,
    /// What people read.
    pub(super) word: String,
    /// Whether it is on.
    pub(super) on: bool,
}

/// The options of a filter, `any` first.
pub(super) fn choices(
    filters: &Filters,
    name: &str,
    any: &str,
    all: impl IntoIterator<Item = (String, String)>,
) -> Vec<Choice> {
    let on = filters.get(name);
    let all = all.into_iter().map(|(value, word)| Choice {
        on: value == on,
        value,
        word,
    });
    let any = Choice {
        value: String::new(),
        word: any.to_owned(),
        on: on.is_empty(),
    };
    std::iter::once(any).chain(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(query: &[(&str, &str)]) -> Filters {
        let query: Query = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Filters::read("/deliveries", &query, &["event", "sender"]).unwrap()
    }

    fn cursor(address: &str) -> String {
        address.rsplit_once("older=").unwrap().1.to_owned()
    }

    #[test]
    fn an_address_keeps_the_filters_and_nothing_else() {
        let on = filters(&[("event", " push "), ("sender", ""), ("x", "y")]);
        assert_eq!(on.first(), "/deliveries?event=push");
        let odd = filters(&[("event", "a b&c=\"<ü>")]);
        assert_eq!(odd.first(), "/deliveries?event=a%20b%26c%3D%22%3C%C3%BC%3E");
        let both = filters(&[("event", "push"), ("sender", "mara")]);
        let chips = both.chips(|name, value| format!("{name} {value}"));
        let removed: Vec<&str> = chips.iter().map(|chip| chip.without.as_str()).collect();
        assert_eq!(
            removed,
            ["/deliveries?sender=mara", "/deliveries?event=push"]
        );
    }

    #[test]
    fn a_place_is_read_back_under_the_same_filters_only() {
        let on = filters(&[("event", "push")]);
        let older = cursor(&on.after(17, "0190"));
        let again = filters(&[("event", "push"), ("older", &older)]);
        assert_eq!(again.place().unwrap(), Some((17, "0190".to_owned())));
        for other in [
            filters(&[("older", &older)]),
            filters(&[("event", "tag"), ("older", &older)]),
            filters(&[("event", "push"), ("older", "nonsense")]),
            filters(&[("event", "push"), ("older", "")]),
        ] {
            assert!(matches!(other.place(), Err(PageError::BadQuery(_))));
        }
        assert_eq!(on.place().unwrap(), None);
    }

    #[test]
    fn times_of_filters_are_utc() {
        assert_eq!(moment("1970-01-02"), Some(At(86_400_000_000)));
        assert_eq!(moment("1970-01-01 00:01"), Some(At(60_000_000)));
        assert_eq!(moment("1970-01-01T00:00:01"), Some(At(1_000_000)));
        for text in ["yesterday", "1970-13-01", "1970-01-01T25:00", ""] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_has_a_limit() {
        let query = vec![("event".to_owned(), "x".repeat(VALUE_BYTES_MAX + 1))];
        let read = Filters::read("/", &query, &["event"]);
        assert!(matches!(read, Err(PageError::BadQuery(_))));
    }
}
