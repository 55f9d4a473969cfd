//! Pods that are made a moment before they are wanted: to make one takes longer than to start a step's
//! container in it. A spare pod is given to one step, and nothing of any step was in it before.

use super::pod::{Pod, PodSpec};
use crate::engine::{Engine, PodName};
use crate::step::chain;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::TaskTracker;

/// The spare pods of one worker. Clones are the same.
#[derive(Clone)]
pub struct Spares {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    most: usize,
    tasks: TaskTracker,
    shelf: Mutex<Shelf>,
    /// One is made at a time: the step that has just begun has the machine's better part.
    making: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shelf {
    /// The oldest first.
    pods: Vec<(PodSpec, Pod)>,
    /// What was asked for last: most steps ask for the same.
    likely: Option<PodSpec>,
}

impl Spares {
    /// At most so many, made by tasks that are tracked here.
    pub fn new(engine: &Engine, most: u32, tasks: &TaskTracker) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                most: usize::try_from(most).unwrap_or(usize::MAX),
                tasks: tasks.clone(),
                shelf: Mutex::default(),
                making: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// One that was made for just this; whose it is from now on.
    pub fn take(&self, wanted: &PodSpec) -> Option<Pod> {
        let mut shelf = self.inner.shelf();
        shelf.likely = Some(wanted.clone());
        let at = shelf.pods.iter().position(|(spec, _)| spec == wanted)?;
        Some(shelf.pods.remove(at).1)
    }

    /// Makes one more like the one that was asked for last, in the background.
    pub fn refill(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let _one = inner.making.lock().await;
            let Some(spec) = inner.lacking() else { return };
            let name = inner.engine.name_pod();
            let outdated = match Pod::create(&inner.engine, name.clone(), &spec).await {
                Ok(pod) => inner.put(spec, pod),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no pod was made ahead");
                    Some(name)
                }
            };
            if let Some(name) = outdated
                && let Err(error) = inner.engine.sweep_pod(&name).await
            {
                tracing::warn!(error = chain(&error), "a spare pod was not removed");
            }
        });
    }
}

impl Inner {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is likely to be asked for next, unless there are enough of it.
    fn lacking(&self) -> Option<PodSpec> {
        let shelf = self.shelf();
        let likely = shelf.likely.as_ref()?;
        let there = shelf.pods.iter().filter(|(spec, _)| spec == likely).count();
        (there < self.most).then(|| likely.clone())
    }

    /// Keeps it; the one that is now too many.
    fn put(&self, spec: PodSpec, pod: Pod) -> Option<PodName> {
        let mut shelf = self.shelf();
        shelf.pods.push((spec, pod));
        let is_over = shelf.pods.len() > self.most;
        is_over.then(|| shelf.pods.remove(0).1.name().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::protocol::Resources;

    fn spec(pids: u64) -> PodSpec {
        PodSpec {
            folder: "/work/src",
            hosts: Vec::new(),
            resources: Resources {
                cpu_milli: 500,
                memory_bytes: 64 << 20,
                pids,
                work_bytes: 1 << 20,
            },
        }
    }

    #[tokio::test]
    #[ignore = "needs a container engine, named by SALLYPORT_TEST_ENGINE"]
    async fn a_pod_that_was_made_ahead_is_given_once_and_for_nothing_else() {
        let config = crate::engine::Config::at(std::env::var("SALLYPORT_TEST_ENGINE").unwrap());
        let engine = Engine::connect(&config, "test", "spares-test")
            .await
            .unwrap();
        let tasks = TaskTracker::new();
        tasks.close();
        let spares = Spares::new(&engine, 1, &tasks);
        let (usual, other) = (spec(20), spec(30));

        assert!(spares.take(&usual).is_none(), "nothing was made yet");
        spares.refill();
        spares.refill();
        tasks.wait().await;
        assert!(spares.take(&other).is_none(), "it was made for less");
        let pod = spares.take(&usual).unwrap();
        assert!(pod.is_well().await);
        assert!(spares.take(&usual).is_none(), "it was given already");

        spares.refill();
        tasks.wait().await;
        assert!(spares.take(&other).is_none());
        spares.refill();
        tasks.wait().await;
        assert!(spares.take(&usual).is_none(), "the newer took its place");
        let newer = spares.take(&other).unwrap();
        engine.sweep_pod(newer.name()).await.unwrap();
        assert!(!newer.is_well().await);
        assert_eq!(engine.sweep().await.unwrap(), 1, "the first pod's holder");
    }
}
