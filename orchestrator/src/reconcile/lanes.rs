//! Lanes: a stage whose items ask the world works on many projects at once, one lane a project, so that
//! one whose repository hangs holds up no other.

use super::bell::Bell;
use super::stage::Progress;
use crate::lifecycle::Tasks;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Lanes of one stage that work at the same time. Each may hold a child process and its memory; most wait
/// for the network.
pub const LANES_MAX: usize = 16;

/// The lanes of one stage. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    tasks: Tasks,
    patience: Duration,
    late: Vec<Bell>,
    slots: Arc<Semaphore>,
    busy: Mutex<HashSet<String>>,
}

impl Inner {
    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that works; it is free again when this goes, by a panic too.
struct Working {
    lanes: Arc<Inner>,
    lane: String,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.lanes.busy().remove(&self.lane);
    }
}

impl Lanes {
    /// Lanes whose tasks `tasks` owns. A pass waits for them no longer than `patience`; a lane that takes
    /// longer goes on, and rings the `late` bells at its end.
    pub fn new(tasks: &Tasks, patience: Duration, late: Vec<Bell>) -> Self {
        Self(Arc::new(Inner {
            tasks: tasks.clone(),
            patience,
            late,
            slots: Arc::new(Semaphore::new(LANES_MAX)),
            busy: Mutex::default(),
        }))
    }

    /// Works on `items` (each with its lane's name): those of one lane one after the other, the lanes at
    /// once. A lane that still works since an earlier call is left alone: its items are found again.
    pub async fn work<T, F>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
        each: impl Fn(T) -> F + Clone + Send + Sync + 'static,
    ) -> Progress
    where
        T: Send + 'static,
        F: Future<Output = Progress> + Send,
    {
        let mut lanes: BTreeMap<String, Vec<T>> = BTreeMap::new();
        for (lane, item) in items {
            lanes.entry(lane).or_default().push(item);
        }
        let (tell, mut told) = mpsc::unbounded_channel();
        for (lane, items) in lanes {
            if self.0.busy().insert(lane.clone()) {
                self.start(lane, items, each.clone(), tell.clone());
            }
        }
        drop(tell);
        let mut progress = Progress::Idle;
        let patience = tokio::time::sleep(self.0.patience);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                done = told.recv() => match done {
                    Some(done) => progress = progress.or(done),
                    None => return progress,
                },
                () = &mut patience => break,
            }
        }
        // From here on a lane hears that nobody listens, and rings by itself.
        told.close();
        while let Ok(done) = told.try_recv() {
            progress = progress.or(done);
        }
        progress
    }

    fn start<T, F>(
        &self,
        lane: String,
        items: Vec<T>,
        each: impl Fn(T) -> F + Send + Sync + 'static,
        tell: mpsc::UnboundedSender<Progress>,
    ) where
        T: Send + 'static,
        F: Future<Output = Progress> + Send,
    {
        let inner = Arc::clone(&self.0);
        let working = Working {
            lanes: Arc::clone(&inner),
            lane,
        };
        let stop = inner.tasks.stop();
        inner.tasks.clone().work(async move {
            let worked = async {
                let mut progress = Progress::Idle;
                // The semaphore is never closed.
                let _slot = inner.slots.acquire().await;
                for item in items {
                    progress = progress.or(each(item).await);
                }
                progress
            };
            let progress = tokio::select! {
                progress = worked => progress,
                // What is under way is begun again by the next process.
                () = stop.cancelled() => return,
            };
            drop(working);
            if tell.send(progress).is_err() {
                inner.late.iter().for_each(Bell::ring);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    /// What is waited for comes at once, or the test fails.
    const BOUND: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_lane_that_hangs_holds_up_no_other_and_rings_when_it_is_done() {
        let late = Bell::default();
        let tasks = Tasks::default();
        let lanes = Lanes::new(&tasks, Duration::from_millis(50), vec![late.clone()]);
        let gate = Arc::new(Notify::new());
        let done = Arc::new(Mutex::new(Vec::new()));
        let each = {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            move |item: &'static str| {
                let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
                async move {
                    if item == "hangs" {
                        gate.notified().await;
                    }
                    done.lock().unwrap().push(item);
                    Progress::Moved
                }
            }
        };
        let items = [
            ("bad", "hangs"),
            ("bad", "behind it"),
            ("good", "one"),
            ("good", "two"),
        ];
        let items = items.map(|(lane, item)| (lane.to_owned(), item));
        assert_eq!(lanes.work(items, each.clone()).await, Progress::Moved);
        assert_eq!(*done.lock().unwrap(), ["one", "two"]);
        // The lane that hangs is not entered twice.
        let again = [("bad".to_owned(), "again"), ("good".to_owned(), "three")];
        lanes.work(again, each).await;
        assert_eq!(*done.lock().unwrap(), ["one", "two", "three"]);
        gate.notify_one();
        tokio::time::timeout(BOUND, late.rung()).await.unwrap();
        assert_eq!(done.lock().unwrap()[3..], ["hangs", "behind it"]);
    }

    #[tokio::test]
    async fn a_panic_frees_its_lane() {
        let lanes = Lanes::new(&Tasks::default(), BOUND, Vec::new());
        let each = |bad: bool| async move {
            assert!(!bad, "this item is bad");
            Progress::Moved
        };
        let one = |bad| [("lane".to_owned(), bad)];
        assert_eq!(lanes.work(one(true), each).await, Progress::Idle);
        assert_eq!(lanes.work(one(false), each).await, Progress::Moved);
    }

    #[tokio::test]
    async fn no_more_lanes_work_at_once_than_may() {
        let lanes = Lanes::new(&Tasks::default(), BOUND, Vec::new());
        let at_once = Arc::new(Mutex::new((0_usize, 0_usize)));
        let counted = Arc::clone(&at_once);
        let each = move |()| {
            let at_once = Arc::clone(&counted);
            async move {
                {
                    let mut at_once = at_once.lock().unwrap();
                    at_once.0 += 1;
                    at_once.1 = at_once.1.max(at_once.0);
                }
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                at_once.lock().unwrap().0 -= 1;
                Progress::Moved
            }
        };
        let items = (0..3 * LANES_MAX).map(|lane| (format!("lane {lane}"), ()));
        lanes.work(items, each).await;
        assert_eq!(at_once.lock().unwrap().1, LANES_MAX);
    }
}
