//! A bell wakes a stage: level-triggered, many rings while it works are one more pass.

use std::sync::Arc;
use tokio::sync::Notify;

/// Rings to say that a stage may find something. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the stage now, or right after the pass under way.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it was rung since the last time.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Wakes everybody who listens at that moment (claims that wait). Cheap to clone.
#[derive(Clone, Default)]
pub struct Gong(Arc<Notify>);

impl Gong {
    /// Wakes all who listen.
    pub fn strike(&self) {
        self.0.notify_waiters();
    }

    /// Listens from now on: a strike between this call and the await is heard.
    pub fn listen(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut notified = Box::pin(Arc::clone(&self.0).notified_owned());
        notified.as_mut().enable();
        notified
    }
}
