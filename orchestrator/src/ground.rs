//! What every room stands on: the database, the clock and the source of ids. Cheap to clone.

use crate::clock::{At, Clock};
use crate::db::Db;
use crate::id::IdSource;
use std::sync::Arc;

/// Database, clock and ids, passed to every room.
#[derive(Clone)]
pub struct Ground {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub ids: Arc<dyn IdSource>,
}

impl Ground {
    /// Now.
    pub fn now(&self) -> At {
        self.clock.now()
    }
}
