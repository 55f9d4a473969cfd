//! The steps as a list: what failed first, what works next.

use super::{Look, Status, Work, count, duration, words};
use crate::clock::At;
use crate::step::{Step, StepState};

/// A step.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) link: String,
    pub(super) status: Status,
    pub(super) said: String,
    pub(super) worker: String,
    pub(super) took: String,
    /// Attempts before this one, each with its end.
    pub(super) before: Vec<Before>,
}

/// An attempt that was not the last.
pub(super) struct Before {
    pub(super) number: i64,
    pub(super) why: String,
    pub(super) link: String,
}

/// Rows of all steps.
pub(super) fn rows(work: &Work, base: &str, now: At) -> Vec<Row> {
    let mut rows: Vec<Row> = work
        .steps
        .iter()
        .map(|step| row(work, step, base, now))
        .collect();
    // Within a rank the order of the file stays.
    rows.sort_by_key(|row| match row.status.look {
        Look::Fail => 0,
        Look::Work => 1,
        Look::Wait => 2,
        Look::Pass | Look::Idle => 3,
    });
    rows
}

fn row(work: &Work, step: &Step, base: &str, now: At) -> Row {
    let link = format!("{base}/steps/{}", step.name);
    let own = || work.leases.iter().filter(|lease| lease.step == step.id);
    let before = own().filter(|lease| lease.fence < step.fence).map(|lease| {
        let why = lease.ended.as_ref();
        Before {
            number: lease.fence,
            why: why.map_or_else(String::new, |(_, cause)| cause.to_string()),
            link: format!("{link}?attempt={}", lease.fence),
        }
    });
    let last = own().find(|lease| lease.fence == step.fence);
    let ended = match step.state {
        StepState::Finished { at, .. } | StepState::Skipped { at, .. } => at,
        StepState::Blocked
        | StepState::Ready { .. }
        | StepState::Leased(_)
        | StepState::Reported { .. } => now,
    };
    Row {
        name: step.name.to_string(),
        kind: step.kind.clone(),
        status: words::step(&step.state),
        said: words::said(&step.state, step.phase.as_deref()),
        worker: last.map_or_else(String::new, |lease| lease.worker.clone()),
        took: last.map_or_else(String::new, |lease| duration(lease.leased_at, ended)),
        before: before.collect(),
        link,
    }
}

/// How many steps are in which state.
pub(super) fn counted(steps: &[Step]) -> String {
    let mut words_of: Vec<(&'static str, usize)> = Vec::new();
    for step in steps {
        let word = words::step(&step.state).word;
        match words_of.iter_mut().find(|(known, _)| *known == word) {
            Some((_, number)) => *number += 1,
            None => words_of.push((word, 1)),
        }
    }
    let words: Vec<String> = words_of
        .into_iter()
        .map(|(word, number)| format!("{} {}", count(number), word.to_lowercase()))
        .collect();
    words.join(", ")
}
