//! What the hot path holds in memory: the hooks with their opened secrets, and the folded refusals.

use super::fold::Folding;
use super::hook::{self, Hook, Secret};
use super::state::{DeliveryError, HookId, Provider};
use super::store;
use crate::blob::Blobs;
use crate::clock::At;
use crate::ground::Ground;
use crate::vault::Sealer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

/// Another orchestrator's new hook is known here after this; between two looks nobody can make us
/// read the database by naming hooks that are not there.
const HOOKS_AGE_MAX: Duration = Duration::from_secs(5);

/// Bodies of all requests at the hooks together, from their first byte until their answer: what strangers
/// send is held in memory before it can be verified. Room for a few of the longest, or for thousands of
/// usual ones.
pub(super) const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The room that one body takes; given back when this goes.
pub struct BodyRoom {
    bodies: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl BodyRoom {
    /// Takes room for so many bytes more; false when there is none.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Ok(permits) = u32::try_from(bytes) else {
            return false;
        };
        let Ok(more) = Arc::clone(&self.bodies).try_acquire_many_owned(permits) else {
            return false;
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        true
    }
}

/// The intake of one server. Cheap to clone.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    ground: Ground,
    blobs: Blobs,
    sealer: Sealer,
    public_url: String,
    body_bytes_max: usize,
    bodies: Arc<Semaphore>,
    /// Stands in for the secrets of an unknown hook and for a second secret that is not there, so
    /// that every request costs the same work.
    decoy: Zeroizing<Vec<u8>>,
    hooks: RwLock<HashMap<HookId, Arc<Hook>>>,
    loaded_at: Mutex<At>,
    folding: Mutex<Folding>,
}

impl Intake {
    /// Opens the intake with all hooks.
    pub async fn open(
        ground: &Ground,
        blobs: &Blobs,
        sealer: Sealer,
        public_url: &str,
        body_bytes_max: usize,
    ) -> Result<Self, DeliveryError> {
        let mut decoy = Zeroizing::new(vec![0; 32]);
        ground.ids.random(&mut decoy);
        let intake = Self(Arc::new(Inner {
            ground: ground.clone(),
            blobs: blobs.clone(),
            sealer,
            public_url: public_url.to_owned(),
            body_bytes_max,
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            decoy,
            hooks: RwLock::default(),
            loaded_at: Mutex::new(At(0)),
            folding: Mutex::default(),
        }));
        intake.reload().await?;
        Ok(intake)
    }

    /// The longest body that is read.
    pub fn body_bytes_max(&self) -> usize {
        self.0.body_bytes_max
    }

    /// The room of a body that has not begun to come.
    pub fn no_room(&self) -> BodyRoom {
        BodyRoom {
            bodies: Arc::clone(&self.0.bodies),
            taken: None,
        }
    }

    /// Where people look at this delivery or refusal.
    pub fn delivery_url(&self, id: &str) -> String {
        format!("{}/deliveries/{id}", self.0.public_url)
    }

    /// The database, clock and ids.
    pub fn ground(&self) -> &Ground {
        &self.0.ground
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(super) fn public_url(&self) -> &str {
        &self.0.public_url
    }

    pub(super) fn decoy(&self) -> &[u8] {
        &self.0.decoy
    }

    pub(super) fn folding(&self) -> MutexGuard<'_, Folding> {
        self.0
            .folding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The hook with this id, from memory.
    pub(super) fn hook(&self, id: &str) -> Option<Arc<Hook>> {
        let id = HookId::parse(id)?;
        let hooks = self.0.hooks.read().unwrap_or_else(PoisonError::into_inner);
        hooks.get(&id).cloned()
    }

    /// Reads the hooks again when they were read too long ago.
    pub(super) async fn refresh(&self) -> Result<(), DeliveryError> {
        let now = self.0.ground.now();
        let age = now.since(*self.loaded_at());
        if age >= HOOKS_AGE_MAX {
            self.reload().await?;
        }
        Ok(())
    }

    /// Reads the hooks and opens their secrets.
    pub(super) async fn reload(&self) -> Result<(), DeliveryError> {
        let now = self.0.ground.now();
        let rows = store::active_secrets(&mut self.0.ground.db.reader().await?, now).await?;
        let mut hooks: HashMap<HookId, Hook> = HashMap::new();
        for row in rows {
            let Some((id, provider)) =
                HookId::parse(&row.hook_id).zip(Provider::parse(&row.provider))
            else {
                tracing::error!(hook.id = row.hook_id, "a hook's row cannot be read");
                continue;
            };
            let context = hook::context(&row.hook_id, &row.secret_id);
            match self.0.sealer.open(&context, &row.sealed) {
                Ok(key) => {
                    let hook = hooks.entry(id.clone()).or_insert_with(|| Hook {
                        id,
                        project_id: row.project_id,
                        provider,
                        secrets: Vec::new(),
                    });
                    hook.secrets.push(Secret {
                        id: row.secret_id,
                        key,
                        until: row.until_at.map(At),
                    });
                }
                // The hook goes on with its other secret, or refuses everything; nothing is open.
                Err(error) => tracing::error!(error = %error, "a hook's secret cannot be opened"),
            }
        }
        let hooks = hooks.into_iter().map(|(id, hook)| (id, Arc::new(hook)));
        let hooks: HashMap<_, _> = hooks.collect();
        *self.0.hooks.write().unwrap_or_else(PoisonError::into_inner) = hooks;
        *self.loaded_at() = now;
        Ok(())
    }

    fn loaded_at(&self) -> MutexGuard<'_, At> {
        self.0
            .loaded_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
