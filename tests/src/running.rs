//! A furnished house with its orchestrator and its signer running in this process, so that a story can
//! move its clock and look at it while it works.

use crate::house::House;
use crate::script::Script;
use crate::worker::{self, ScriptedWorker};
use contract::level::Level;
use orchestrator::app::App;
use orchestrator::clock::{At, Clock, SystemClock};
use orchestrator::config::{Config, Place};
use orchestrator::fleet;
use orchestrator::identity::Actor;
use orchestrator::lifecycle::Tasks;
use orchestrator::signing::{self, Signer, SignerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The machine's clock, moved on by a story that does not want to wait. Never moved back.
#[derive(Default)]
pub struct MovedClock(AtomicU64);

impl MovedClock {
    /// Later by so much.
    pub fn moves(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> At {
        let moved = Duration::from_secs(self.0.load(Ordering::SeqCst));
        SystemClock.now().plus(moved)
    }
}

/// What runs.
pub struct Running {
    /// The server.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: Arc<MovedClock>,
    signer: Tasks,
}

impl Running {
    /// Starts signer and server.
    pub async fn start(house: &House) -> anyhow::Result<Self> {
        let signer = Tasks::default();
        let config = SignerConfig::load(&Place::file(house.signer_config()))?;
        let keys = Signer::open(&config, Arc::new(SystemClock))?;
        signing::serve(&config, Arc::new(keys), &signer).await?;
        let clock = Arc::new(MovedClock::default());
        let config = Config::load(&Place::file(house.config()))?;
        let (app, _) =
            crate::orchestrator::serve(config, Arc::clone(&clock) as Arc<dyn Clock>).await?;
        Ok(Self { app, clock, signer })
    }

    /// An enrolment token, as `sallyport worker token` gives it.
    pub async fn enrolment_token(&self) -> anyhow::Result<String> {
        let ca = &self.app.fleet.ca;
        let level = Level::of_our_own_engine();
        let minted = fleet::mint(&self.app.ground, ca, &Actor::System, level).await?;
        Ok(minted.text)
    }

    /// An enrolled worker that has said hello.
    pub async fn worker(&self, house: &House) -> anyhow::Result<ScriptedWorker> {
        let token = self.enrolment_token().await?;
        let worker = worker::enrol(&house.ports.entrance(), &token, "demo-1").await?;
        let said = worker.hello(2).await;
        said.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        Ok(worker)
    }

    /// The same with its script.
    pub async fn script(&self, house: &House) -> anyhow::Result<Script> {
        Script::new(self.worker(house).await?)
    }

    /// Stops both as SIGTERM would.
    pub async fn stop(self) {
        for tasks in [&self.app.tasks, &self.signer] {
            tasks.stop().cancel();
            tasks.ended().await;
        }
        self.app.ground.db.close().await;
    }
}
