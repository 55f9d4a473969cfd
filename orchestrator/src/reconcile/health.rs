//! How the stages are: each passes again and again, and one that does not is seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A pass that takes longer hangs: the longest thing in one is the copy of a release.
const PASS_MAX: Duration = Duration::from_secs(15 * 60);

/// The stages of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Beat>>>);

#[derive(Clone, Copy)]
enum Beat {
    /// It is to run and has not passed yet.
    New,
    /// A pass is under way, after one that went so (none: the first).
    Passing(Instant, Option<bool>),
    /// Between two passes; whether the last one was good.
    Passed(bool),
}

impl Health {
    /// A stage that is to run.
    pub fn expect(&self, stage: &'static str) {
        self.beats().insert(stage, Beat::New);
    }

    /// A pass begins.
    pub(super) fn begins(&self, stage: &'static str, now: Instant) {
        let before = match self.beats().get(stage) {
            Some(Beat::Passed(good)) => Some(*good),
            Some(Beat::Passing(_, before)) => *before,
            Some(Beat::New) | None => None,
        };
        self.beats().insert(stage, Beat::Passing(now, before));
    }

    /// A pass has ended.
    pub(super) fn ended(&self, stage: &'static str, good: bool) {
        self.beats().insert(stage, Beat::Passed(good));
    }

    /// What is wrong with any stage, a line each.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong_at(Instant::now())
    }

    fn wrong_at(&self, now: Instant) -> Vec<String> {
        let say = |(stage, beat): (&&str, &Beat)| match beat {
            Beat::New | Beat::Passing(_, None) => Some(format!("stage {stage}: no pass yet")),
            Beat::Passing(since, _) if now.duration_since(*since) > PASS_MAX => {
                let minutes = PASS_MAX.as_secs() / 60;
                Some(format!(
                    "stage {stage}: a pass takes longer than {minutes} minutes"
                ))
            }
            Beat::Passing(_, Some(false)) | Beat::Passed(false) => {
                Some(format!("stage {stage}: the last pass failed"))
            }
            Beat::Passing(_, Some(true)) | Beat::Passed(true) => None,
        };
        self.beats().iter().filter_map(say).collect()
    }

    fn beats(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_well_when_its_last_pass_was_good_and_none_hangs() {
        let (health, start) = (Health::default(), Instant::now());
        let wrong = |after: u64| {
            health
                .wrong_at(start + Duration::from_secs(after))
                .join("; ")
        };
        assert_eq!(wrong(0), "");
        health.expect("run");
        assert_eq!(wrong(0), "stage run: no pass yet");
        health.begins("run", start);
        assert_eq!(wrong(1), "stage run: no pass yet");
        health.ended("run", true);
        assert_eq!(wrong(2), "");
        health.begins("run", start);
        assert_eq!(wrong(3), "");
        assert_eq!(wrong(901), "stage run: a pass takes longer than 15 minutes");
        health.ended("run", false);
        assert_eq!(wrong(902), "stage run: the last pass failed");
        // It is not well again because it tries again.
        health.begins("run", start);
        assert_eq!(wrong(4), "stage run: the last pass failed");
    }
}
