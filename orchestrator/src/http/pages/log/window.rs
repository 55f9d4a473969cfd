//! The part of a log that a page shows: a page is bounded, a log may have 64 MiB.

use super::lines::{self, Item, Place, Rest};
use crate::app::App;
use crate::step::{Error, Slice, StepId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Lines of one page: what somebody reads of a failure, and still a page that opens at once.
const LINES_MAX: usize = 1_000;
/// Bytes of one page, for logs with long lines.
const BYTES_MAX: i64 = 128 * 1024;
/// Lines that a search shows; it counts all of them.
pub(super) const HITS_MAX: usize = 100;

/// One attempt's log.
pub(super) struct Stored<'a> {
    pub(super) app: &'a App,
    pub(super) step: StepId,
    pub(super) fence: i64,
    /// A worker may still append to it.
    pub(super) grows: bool,
}

/// Which part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The last lines: where it goes on, or what went wrong.
    End,
    /// What comes before this offset.
    Before(i64),
    /// This line and what surrounds it.
    Line(usize),
}

/// Lines to show.
pub(super) struct Window {
    pub(super) items: Vec<Item>,
    /// The section that goes on at the beginning.
    pub(super) section: Option<Arc<str>>,
    /// Where it begins, and where what comes after it begins.
    pub(super) start: Place,
    pub(super) next: Place,
    /// The log's end, as far as it is stored.
    pub(super) end: i64,
    /// There are whole lines after it.
    pub(super) is_cut_after: bool,
}

/// A line that a search found.
pub(super) struct Hit {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Stored<'_> {
    pub(super) async fn read(&self, offset: i64) -> Result<Slice, Error> {
        let logs = &self.app.steps.logs;
        logs.read(&self.app.ground, &self.step, self.fence, offset)
            .await
    }

    /// What becomes of a last line without its end.
    pub(super) fn rest(&self, slice: &Slice) -> Rest {
        if self.grows && slice.next_offset == slice.end {
            Rest::Hold
        } else {
            Rest::Give
        }
    }

    /// Goes through the lines from a place on, until `each` has enough; where it stopped, and the end.
    async fn walk(
        &self,
        mut place: Place,
        mut each: impl FnMut(Place, &[u8]) -> bool,
    ) -> Result<(Place, i64), Error> {
        loop {
            let slice = self.read(place.offset).await?;
            let before = place;
            let more = place.walk(&slice.bytes, self.rest(&slice), &mut each);
            if !more || place == before {
                return Ok((place, slice.end));
            }
        }
    }

    /// The part that is wished for.
    pub(super) async fn window(&self, wish: Wish) -> Result<Window, Error> {
        let mut starts: VecDeque<(Place, Option<Arc<str>>)> = VecDeque::new();
        let mut section: Option<Arc<str>> = None;
        let mut seen_at = None;
        let mut is_cut_after = false;
        let (next, end) = self
            .walk(Place::START, |place, line| {
                let enough = match wish {
                    Wish::End => false,
                    Wish::Before(offset) => place.offset >= offset,
                    Wish::Line(wanted) => {
                        if place.line >= wanted {
                            seen_at.get_or_insert(place.offset);
                        }
                        let behind = seen_at.is_some_and(|at| place.offset - at > BYTES_MAX / 2);
                        behind || place.line >= wanted.saturating_add(LINES_MAX / 2)
                    }
                };
                if enough {
                    is_cut_after = true;
                    return false;
                }
                starts.push_back((place, section.clone()));
                if let Some(title) = lines::title(line) {
                    section = Some(title.into());
                }
                let too_far = |(first, _): &(Place, _)| place.offset - first.offset > BYTES_MAX;
                while starts.len() > LINES_MAX || starts.front().is_some_and(too_far) {
                    starts.pop_front();
                }
                true
            })
            .await?;
        let (start, section) = starts.pop_front().unwrap_or((Place::START, None));
        let mut items = Vec::new();
        let shown = |place: Place, line: &[u8]| {
            let is_shown = place.offset < next.offset;
            if is_shown {
                items.push(lines::item(place, line));
            }
            is_shown
        };
        self.walk(start, shown).await?;
        Ok(Window {
            items,
            section,
            start,
            next,
            end,
            is_cut_after,
        })
    }

    /// The lines that contain a text, whatever the case: the first ones, and how many there are.
    pub(super) async fn search(&self, text: &str) -> Result<(Vec<Hit>, usize), Error> {
        let (wanted, mut hits, mut count) = (text.to_lowercase(), Vec::new(), 0);
        let look = |place: Place, line: &[u8]| {
            let text = lines::plain(line);
            if lines::title(line).is_none() && text.to_lowercase().contains(&wanted) {
                count += 1;
                if hits.len() < HITS_MAX {
                    hits.push(Hit {
                        line: place.line,
                        text,
                    });
                }
            }
            true
        };
        self.walk(Place::START, look).await?;
        Ok((hits, count))
    }
}
