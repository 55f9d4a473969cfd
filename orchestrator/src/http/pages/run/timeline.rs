//! When each step waited, started, worked and uploaded, on one scale.

use super::{PageError, Status, duration, words};
use crate::clock::At;
use crate::db::Conn;
use crate::run::Cause;
use crate::step::{self, Step, StepState};

/// Seconds between two marks of the axis: the first of these that gives at most this many marks.
const MARKS_SECS: [i64; 12] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200];
const MARKS_MAX: i64 = 6;

/// The whole picture.
pub(super) struct Timeline {
    pub(super) marks: Vec<Mark>,
    pub(super) rows: Vec<Row>,
}

/// A mark of the axis.
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) text: String,
    /// Where the text stands to its mark.
    pub(super) anchor: &'static str,
}

/// A step's bars.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) bars: Vec<Bar>,
    pub(super) words: String,
    pub(super) took: String,
}

/// One stretch of time, in percent of the whole.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) width: String,
}

/// The moments of a step, each not before the one before it.
struct Moments {
    ready: At,
    leased: At,
    started: At,
    ended: At,
    finished: At,
    bad: bool,
}

/// Draws the steps that were leased; none when no one was.
pub(super) async fn timeline(
    conn: &mut Conn,
    steps: &[Step],
    now: At,
) -> Result<Option<Timeline>, PageError> {
    let mut all = Vec::new();
    for step in steps {
        if let Some(moments) = moments(conn, step, now).await? {
            all.push((step, moments));
        }
    }
    let (Some(from), Some(to)) = (
        all.iter().map(|(_, m)| m.ready).min(),
        all.iter().map(|(_, m)| m.finished).max(),
    ) else {
        return Ok(None);
    };
    let (mark, marks) = scale((to.0 - from.0) / 1_000_000);
    let whole = (mark * marks).max(1) * 1_000_000;
    let rows = all.iter().map(|(step, m)| row(step, m, from, whole));
    Ok(Some(Timeline {
        rows: rows.collect(),
        marks: (0..=marks).map(|at| axis(at, mark, marks)).collect(),
    }))
}

/// When it started and when its containers ended are claims of the worker: they are held between what
/// we know ourselves.
async fn moments(conn: &mut Conn, step: &Step, now: At) -> Result<Option<Moments>, PageError> {
    let Some(leased) = step.leased_at else {
        return Ok(None);
    };
    let claimed = step::claimed(conn, &step.id, step.fence)
        .await
        .map_err(PageError::log)?;
    let (finished, bad) = match &step.state {
        StepState::Finished { at, cause } => (*at, *cause != Cause::Passed),
        StepState::Blocked
        | StepState::Ready { .. }
        | StepState::Leased(_)
        | StepState::Reported { .. }
        | StepState::Skipped { .. } => (now, false),
    };
    let finished = finished.max(leased);
    let claims = claimed.map(|report| report.times);
    let started = claims.and_then(|times| times.started_at).map(At);
    let started = started.or(step.started_at).unwrap_or(match claims {
        Some(times) => At(times.ended_at),
        // Nobody has told yet: all that we know is that it is under way.
        None => leased,
    });
    let started = started.clamp(leased, finished);
    let ended = claims.map_or(finished, |times| At(times.ended_at));
    Ok(Some(Moments {
        ready: step.ready_at.unwrap_or(leased).min(leased),
        leased,
        started,
        ended: ended.clamp(started, finished),
        finished,
        bad,
    }))
}

/// Seconds a mark, and how many marks.
fn scale(seconds: i64) -> (i64, i64) {
    let marks = |mark: i64| seconds / mark + 1;
    let mark = MARKS_SECS
        .into_iter()
        .find(|mark| marks(*mark) <= MARKS_MAX);
    let mark = mark.unwrap_or(seconds / MARKS_MAX + 1);
    (mark, marks(mark))
}

fn axis(at: i64, mark: i64, marks: i64) -> Mark {
    let seconds = at * mark;
    Mark {
        x: percent(at, marks),
        text: match seconds {
            0..=59 => format!("{seconds} s"),
            60..=3_599 if seconds % 60 == 0 => format!("{} min", seconds / 60),
            60..=3_599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
            _ => format!("{} h {:02}", seconds / 3_600, seconds % 3_600 / 60),
        },
        anchor: match at {
            0 => "start",
            last if last == marks => "end",
            _ => "middle",
        },
    }
}

fn row(step: &Step, moments: &Moments, from: At, whole: i64) -> Row {
    let Moments {
        ready,
        leased,
        started,
        ended,
        finished,
        bad,
    } = *moments;
    let parts = [
        ("queue", ready, leased),
        ("start", leased, started),
        (if bad { "work bad" } else { "work" }, started, ended),
        ("upload", ended, finished),
    ];
    let bars = parts
        .into_iter()
        .filter(|(_, from, to)| from < to)
        .map(|(class, start, end)| Bar {
            class,
            x: percent(start.0 - from.0, whole),
            width: percent(end.0 - start.0, whole),
        });
    Row {
        name: step.name.to_string(),
        status: words::step(&step.state),
        bars: bars.collect(),
        words: format!(
            "queue {}, start {}, work {}, upload {}",
            duration(ready, leased),
            duration(leased, started),
            duration(started, ended),
            duration(ended, finished)
        ),
        took: duration(started, ended),
    }
}

/// Hundredths of a percent are finer than any screen.
fn percent(part: i64, whole: i64) -> String {
    let part = i128::from(part.max(0)) * 10_000 / i128::from(whole.max(1));
    format!("{}.{:02}%", part / 100, part % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_few_round_marks_that_hold_everything() {
        for seconds in [0, 1, 5, 6, 59, 60, 61, 299, 3_599, 40_000, 1_000_000] {
            let (mark, marks) = scale(seconds);
            assert!(
                marks <= MARKS_MAX + 1 && mark * marks > seconds,
                "{seconds}: {mark} {marks}"
            );
        }
        assert_eq!(scale(59), (10, 6));
        assert_eq!(scale(340), (60, 6));
    }

    #[test]
    fn a_share_is_never_negative_and_never_divides_by_nothing() {
        assert_eq!(percent(1, 3), "33.33%");
        assert_eq!(percent(-5, 3), "0.00%");
        assert_eq!(percent(0, 0), "0.00%");
    }
}
