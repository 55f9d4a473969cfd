//! The whole: what one running server consists of. A room never names it.

use crate::blob::Blobs;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::db::Db;
use crate::delivery::Intake;
use crate::flow::{self, Bells};
use crate::ground::Ground;
use crate::http::pages::Throttle;
use crate::id::SystemIds;
use crate::identity::Passwords;
use crate::instance::{self, Instance, Lock, ServerKeys};
use crate::lifecycle::Tasks;
use crate::reconcile::Health;
use crate::registry::{Issuer, Registry};
use crate::signing::SignerClient;
use crate::source::Mirrors;
use crate::vault::MasterKey;
use crate::{fleet, promotion, run, step, trigger};
use anyhow::{Context as _, bail};
use std::sync::Arc;

/// One running server.
pub struct App {
    /// Its configuration.
    pub config: Config,
    /// Which instance it is.
    pub instance: Instance,
    /// Database, clock, ids.
    pub ground: Ground,
    /// Password hashes.
    pub passwords: Passwords,
    /// Opens and seals secrets.
    pub master: MasterKey,
    /// Blobs.
    pub blobs: Blobs,
    /// The workers' CA and the envelope key.
    pub fleet: Arc<fleet::Keys>,
    /// Issues tokens of the registry.
    pub issuer: Arc<Issuer>,
    /// The registry.
    pub registry: Registry,
    /// The way to the signer.
    pub signer: SignerClient,
    /// What the hooks are given.
    pub intake: Intake,
    /// What `run` is given.
    pub runs: run::Hands,
    /// What `trigger` is given.
    pub triggers: trigger::Hands,
    /// What `step` is given.
    pub steps: step::Hands,
    /// What `promotion` is given.
    pub promotions: promotion::Hands,
    /// Failed sign-ins of late.
    pub sign_ins: Throttle,
    /// Who wakes whom.
    pub bells: Bells,
    /// How its stages are.
    pub health: Health,
    /// Its tasks.
    pub tasks: Tasks,
    _lock: Lock,
}

impl App {
    /// Opens everything that the configuration names.
    pub async fn open(config: Config) -> anyhow::Result<Arc<Self>> {
        Self::open_at(config, Arc::new(SystemClock)).await
    }

    /// The same by another clock.
    #[expect(
        clippy::too_many_lines,
        reason = "one list of what a server consists of, in order"
    )]
    pub async fn open_at(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<Self>> {
        let data_dir = config.server.data_dir.clone();
        if !data_dir.is_dir() {
            bail!(
                "{} is not there: run `sallyport init` first",
                data_dir.display()
            );
        }
        let lock = Lock::take(&data_dir)?;
        let master = MasterKey::load(&config.master_key)?;
        let db = Db::open(&config.database_url()?)
            .await
            .context("open the database")?;
        let ids = Arc::new(SystemIds::new(Arc::clone(&clock)));
        let ground = Ground { db, clock, ids };
        let instance = own_instance(&ground, &config).await?;
        let keys = ServerKeys::load(&data_dir, &master)?;
        let issuer = Arc::new(Issuer::new(
            keys.registry,
            &instance.id,
            &config.registry.name,
        )?);
        let registry = Registry::new(&config.registry, Arc::clone(&issuer), ground.clone())?;
        let blobs = Blobs::new(&data_dir.join("blobs"));
        let intake = Intake::open(
            &ground,
            &blobs,
            master.sealer("hook-secrets"),
            &instance.public_url,
            config.server.hook_bytes_max,
        )
        .await?;
        let signer = SignerClient::new(&config.signer);
        let mirrors = Mirrors::new(&data_dir.join("mirrors")).given(&config.source);
        let (bells, tasks) = (Bells::default(), Tasks::default());
        let promotions = promotion::Hands {
            registry: registry.clone(),
            signer: signer.clone(),
            mirrors: mirrors.clone(),
            lanes: flow::lanes(&tasks, &[&bells.promotion]),
            instance_id: instance.id.clone(),
        };
        let triggers = trigger::Hands {
            mirrors,
            blobs: blobs.clone(),
            lanes: flow::lanes(&tasks, &[&bells.trigger, &bells.run]),
        };
        let runs = run::Hands {
            lanes: flow::lanes(&tasks, &[&bells.run, &bells.step]),
            mirrors: triggers.mirrors.clone(),
            blobs: blobs.clone(),
            tools: config.tools.clone(),
        };
        let steps = flow::step_hands(&ground, &blobs, &data_dir, &bells, &instance.id);
        Ok(Arc::new(Self {
            config,
            instance,
            ground,
            passwords: Passwords::new().await?,
            master,
            blobs,
            fleet: Arc::new(keys.fleet),
            issuer,
            registry,
            signer,
            intake,
            runs,
            triggers,
            steps,
            promotions,
            sign_ins: Throttle::default(),
            bells,
            health: Health::default(),
            tasks,
            _lock: lock,
        }))
    }
}

async fn own_instance(ground: &Ground, config: &Config) -> anyhow::Result<Instance> {
    let found = instance::instance(&mut ground.db.reader().await?).await?;
    let Some(found) = found else {
        bail!("this database has no instance: run `sallyport init` first")
    };
    if found.public_url != config.server.public_url {
        bail!(
            "this instance was made for {}, the configuration says {}: sign-ins and the audit log hang on it",
            found.public_url,
            config.server.public_url
        );
    }
    Ok(found)
}
