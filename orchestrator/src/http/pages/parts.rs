//! Small parts that many pages show: icons, states, times, digests. Each writes its own markup.

use crate::clock::At;
use askama::Template;
use askama::filters::HtmlSafe;
use std::time::Duration;

/// What a state looks like, besides its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Done and good.
    Pass,
    /// Wrong.
    Fail,
    /// Somebody or something is awaited.
    Wait,
    /// Under way.
    Work,
    /// Neither good nor bad.
    Idle,
}

impl Look {
    /// The word of the style classes `is-…` and `c-…`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Wait => "wait",
            Self::Work => "work",
            Self::Idle => "idle",
        }
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<svg class="i{% if spin %} spin{% endif %}" aria-hidden="true"><use href="{{ super::asset("icons.svg") }}#{{ name }}"/></svg>"##
)]
pub(super) struct Icon {
    name: &'static str,
    spin: bool,
}
impl HtmlSafe for Icon {}

/// A symbol of `icons.svg`.
pub(super) fn icon(name: &'static str) -> Icon {
    Icon { name, spin: false }
}

/// A state: shape, word, colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// Its colour.
    pub(super) look: Look,
    /// Its shape.
    pub(super) shape: &'static str,
    /// Its word.
    pub(super) word: &'static str,
}

impl Status {
    pub(super) const fn new(look: Look, shape: &'static str, word: &'static str) -> Self {
        Self { look, shape, word }
    }

    pub(super) fn class(&self) -> &'static str {
        self.look.class()
    }

    pub(super) fn icon(&self) -> Icon {
        Icon {
            name: self.shape,
            spin: self.look == Look::Work,
        }
    }

    /// In a line or a row.
    pub(super) fn line(&self) -> Shown {
        Shown {
            kind: "st",
            status: *self,
        }
    }

    /// The one state of a page or card.
    pub(super) fn badge(&self) -> Shown {
        Shown {
            kind: "badge",
            status: *self,
        }
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<span class="{{ kind }} is-{{ status.class() }}">{{ status.icon() }}{{ status.word }}</span>"#
)]
pub(super) struct Shown {
    kind: &'static str,
    status: Status,
}
impl HtmlSafe for Shown {}

/// A moment, relative to now, with the exact one in the markup.
#[derive(Template, Debug, Clone)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ at }}" title="{{ exact }}">{{ relative }}</time>"#
)]
pub(super) struct When {
    at: At,
    exact: String,
    relative: String,
}
impl HtmlSafe for When {}

impl When {
    pub(super) fn new(at: At, now: At) -> Self {
        Self {
            at,
            exact: exact(at),
            relative: relative(at, now),
        }
    }

    pub(super) fn micros(at: i64, now: At) -> Self {
        Self::new(At(at), now)
    }

    /// The moment itself, in UTC.
    pub(super) fn exact(&self) -> &str {
        &self.exact
    }
}

fn exact(at: At) -> String {
    let text = at.to_string();
    text.trim_end_matches('Z').replacen('T', " ", 1) + " UTC"
}

fn relative(at: At, now: At) -> String {
    let (ahead, seconds) = if at > now {
        (true, at.since(now).as_secs())
    } else {
        (false, now.since(at).as_secs())
    };
    let text = match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => format!("{} h", seconds / 3_600),
        86_400..=172_799 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    };
    match (ahead, seconds) {
        (_, 0) => "now".to_owned(),
        (true, _) => format!("in {text}"),
        (false, _) => format!("{text} ago"),
    }
}

/// A moment to come: exactly, and as a countdown that `page.js` keeps going in the same words.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ at }}">{{ exact }}</time>, <span class="b" data-until="{{ at }}">{{ left }}</span>"#
)]
pub(super) struct Until {
    at: At,
    exact: String,
    left: String,
}
impl HtmlSafe for Until {}

impl Until {
    pub(super) fn new(at: At, now: At) -> Self {
        let text = exact(at);
        let (to_the_second, _) = text.split_once('.').unwrap_or((&text, ""));
        Self {
            at,
            exact: format!("{to_the_second} UTC"),
            left: left(at.since(now).as_secs()),
        }
    }
}

/// What is left of some seconds.
fn left(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => "over".to_owned(),
        1..=59 => format!("in {seconds} s"),
        60..=3_599 => format!("in {minutes} min {:02} s", seconds % 60),
        3_600..=86_399 => format!("in {hours} h {:02} min", minutes % 60),
        _ => format!("in {days} d {:02} h", hours % 24),
    }
}

/// How long something is good, as settings say it: in the largest unit that leaves no rest.
pub(super) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, word) in [(86_400, "day"), (3_600, "hour"), (60, "minute")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            let count = seconds / unit;
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {word}{plural}");
        }
    }
    format!("{seconds} seconds")
}

/// How long something took, as people say it.
pub(super) fn duration(from: At, to: At) -> String {
    let took = to.since(from);
    let (seconds, tenths) = (took.as_secs(), took.subsec_millis() / 100);
    match seconds {
        0..=9 => format!("{seconds}.{tenths} s"),
        10..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, as people say it.
pub(super) fn size(bytes: i64) -> String {
    let bytes = bytes.max(0);
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=999_999 => format!("{} KB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// A digest, commit or id: whole in the markup, one click takes it.
#[derive(Template, Debug, Clone)]
#[template(
    ext = "html",
    source = r#"<span class="digest{% if full %} full{% endif %}"><code>{{ value }}</code><button class="copy" type="button" data-copy="{{ value }}" aria-label="Copy {{ what }} {{ short }}">{{ super::icon("copy") }}</button></span>"#
)]
pub(super) struct Copied {
    value: String,
    what: &'static str,
    short: String,
    full: bool,
}
impl HtmlSafe for Copied {}

impl Copied {
    pub(super) fn new(what: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        let bare = value.split_once(':').map_or(value.as_str(), |(_, hex)| hex);
        Self {
            short: bare.chars().take(8).collect(),
            what,
            full: false,
            value,
        }
    }

    /// With room for all of it.
    pub(super) fn full(what: &'static str, value: impl Into<String>) -> Self {
        Self {
            full: true,
            ..Self::new(what, value)
        }
    }
}

/// A command to take away.
#[derive(Template, Debug, Clone)]
#[template(
    ext = "html",
    source = r#"<div class="cmd"><code>{{ command }}</code><button class="copy" type="button" data-copy="{{ command }}" aria-label="Copy command">{{ super::icon("copy") }}</button></div>"#
)]
pub(super) struct Command {
    pub(super) command: String,
}
impl HtmlSafe for Command {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let now = At(1_000_000_000_000_000);
        let ago = |seconds: i64| relative(At(now.0 - seconds * 1_000_000), now);
        assert_eq!(ago(0), "now");
        assert_eq!(ago(59), "59 s ago");
        assert_eq!(ago(3_600), "1 h ago");
        assert_eq!(ago(90_000), "1 day ago");
        assert_eq!(ago(-120), "in 2 min");
        assert_eq!(exact(At(0)), "1970-01-01 00:00:00.000 UTC");
    }

    #[test]
    fn a_countdown_says_two_units_and_ends() {
        let of = [0, 59, 60, 3_599, 3_600, 86_399, 180_000].map(left);
        assert_eq!(
            of,
            [
                "over",
                "in 59 s",
                "in 1 min 00 s",
                "in 59 min 59 s",
                "in 1 h 00 min",
                "in 23 h 59 min",
                "in 2 d 02 h"
            ]
        );
        let now = At(1_000_000_000_000_000);
        let shown = Until::new(At(now.0 + 60_000_000), now).to_string();
        assert!(shown.contains(">2001-09-09 01:47:40 UTC<"), "{shown}");
        assert!(shown.contains(">in 1 min 00 s<"), "{shown}");
        let good = [90, 60, 86_400, 129_600].map(|s| lasting(Duration::from_secs(s)));
        assert_eq!(good, ["90 seconds", "1 minute", "1 day", "36 hours"]);
        assert!(Until::new(At(0), now).to_string().contains(">over<"));
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn what_others_wrote_is_escaped() {
        let shown = Copied::new("name", "\"><script>").to_string();
        assert!(!shown.contains("<script>"), "{shown}");
    }
}
