//! A whole orchestrator in this process, on its own folder and loopback ports, that can be stopped
//! and started again in the middle of a story.

use crate::house::{HOOK_SECRET, PASSWORD, free_port};
use crate::repository;
use crate::story::Push;
use crate::visitor::Visitor;
use ::orchestrator::app::App;
use ::orchestrator::clock::{Clock, SystemClock};
use ::orchestrator::config::{Config, Place};
use ::orchestrator::db::{self, Db};
use ::orchestrator::delivery::{self, AddHook, Provider};
use ::orchestrator::ground::Ground;
use ::orchestrator::http::worker_api::Entrance;
use ::orchestrator::id::SystemIds;
use ::orchestrator::identity::{self, Actor, AddOutcome, Grant, NewPerson, Role, SignInOutcome};
use ::orchestrator::instance::{self, FirstAdmin, InitOutcome};
use ::orchestrator::project::ProjectId;
use ::orchestrator::run::{Cause, Run, RunState};
use ::orchestrator::step::{Step, StepState};
use ::orchestrator::vault::MasterKey;
use ::orchestrator::{fleet, flow, http, reconcile, run, step};
use anyhow::{Context as _, bail};
use contract::level::Level;
use contract::name::Name;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A story never waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// The project of the stories.
const PROJECT: &str = "01900000-0000-7000-8000-000000000001";

/// A running orchestrator with one project `shop`.
pub struct Orchestrator {
    app: Arc<App>,
    entrance: SocketAddr,
    folder: Arc<tempfile::TempDir>,
    hook: String,
}

impl Orchestrator {
    /// Makes an instance with the project `shop` and starts it.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(0).await
    }

    /// As [`Orchestrator::start`], with `/metrics` at the public entrance.
    pub async fn start_with_metrics() -> anyhow::Result<Self> {
        Self::start_as(0, true).await
    }

    /// As [`Orchestrator::start`], with the worker entrance at this port of the loopback.
    pub async fn start_at(port: u16) -> anyhow::Result<Self> {
        Self::start_as(port, false).await
    }

    async fn start_as(port: u16, metrics: bool) -> anyhow::Result<Self> {
        let folder = Arc::new(tempfile::tempdir()?);
        let mut config = config(folder.path(), free_port()?, port)?;
        config.server.metrics = metrics;
        init(&config).await?;
        repository::make(&folder.path().join("shop.git"))?;
        let mut this = Self::open(config, folder, String::new()).await?;
        this.make_project().await?;
        this.hook = this.add_hook().await?;
        Ok(this)
    }

    /// An instance that answers pages and hooks, and whose stages stand still: what is there stays as a
    /// story wrote it.
    pub async fn still() -> anyhow::Result<Self> {
        let folder = Arc::new(tempfile::tempdir()?);
        let config = config(folder.path(), free_port()?, 0)?;
        init(&config).await?;
        repository::make(&folder.path().join("shop.git"))?;
        let app = App::open(config).await?;
        http::serve::public(&app).await?;
        let mut this = Self {
            entrance: app.config.worker.listen,
            app,
            folder,
            hook: String::new(),
        };
        this.make_project().await?;
        this.hook = this.add_hook().await?;
        Ok(this)
    }

    /// Stops it as SIGTERM would and starts it again on the same data and ports.
    pub async fn restart(self) -> anyhow::Result<Self> {
        let (folder, hook) = (Arc::clone(&self.folder), self.hook.clone());
        let (public, worker) = (self.app.config.server.listen.port(), self.entrance.port());
        self.stop().await;
        Self::open(config(folder.path(), public, worker)?, folder, hook).await
    }

    /// Stops it.
    pub async fn stop(self) {
        self.app.tasks.stop().cancel();
        self.app.tasks.ended().await;
        self.app.ground.db.close().await;
    }

    /// `https://127.0.0.1:<port>` of the worker entrance.
    pub fn entrance(&self) -> String {
        format!("https://127.0.0.1:{}", self.entrance.port())
    }

    /// The administrator, signed in.
    pub async fn visitor(&self) -> anyhow::Result<Visitor> {
        let base = self.app.config.server.public_url.to_string();
        Visitor::sign_in(base.trim_end_matches('/'), "root", PASSWORD).await
    }

    /// Where the hook of `shop` listens.
    pub fn hook_url(&self) -> String {
        format!("{}/hooks/{}", self.app.config.server.public_url, self.hook)
    }

    /// A further hook, of GitHub; where it listens.
    pub async fn github_hook(&self, secret: &str) -> anyhow::Result<String> {
        let hook = AddHook {
            project_id: ProjectId::parse(PROJECT)?,
            provider: Provider::Github,
            secret: secret.to_owned().into(),
            pusher: None,
        };
        let added = delivery::add_hook(&self.app.intake, &Actor::System, hook).await??;
        Ok(added.url)
    }

    /// How many requests were refused, as they are stored.
    pub async fn refused(&self) -> anyhow::Result<i64> {
        let mut conn = self.app.ground.db.reader().await?;
        let (requests,) = ::orchestrator::fetch_one!(
            conn,
            (i64,),
            "SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM refusal"
        )?;
        Ok(requests)
    }

    /// Why deliveries were refused, as stored, in the order of the words.
    pub async fn refusal_reasons(&self) -> anyhow::Result<Vec<String>> {
        let mut conn = self.app.ground.db.reader().await?;
        let rows = ::orchestrator::fetch_all!(
            conn,
            (String,),
            "SELECT reason FROM refusal ORDER BY reason"
        )?;
        Ok(rows.into_iter().map(|(reason,)| reason).collect())
    }

    /// An enrolment token, as `sallyport worker token` gives it.
    pub async fn enrolment_token(&self) -> anyhow::Result<String> {
        self.enrolment_token_granting(Level::of_our_own_engine())
            .await
    }

    /// As [`Orchestrator::enrolment_token`], for a worker that may claim no more than this.
    pub async fn enrolment_token_granting(&self, level: Level) -> anyhow::Result<String> {
        let ca = &self.app.fleet.ca;
        let minted = fleet::mint(&self.app.ground, ca, &Actor::System, level).await?;
        Ok(minted.text)
    }

    /// The worker is refused at the door from now on.
    pub async fn revoke(&self, worker: &str) -> anyhow::Result<()> {
        let name = Name::parse(worker)?;
        let mut conn = self.app.ground.db.reader().await?;
        let found = fleet::by_name(&mut conn, &name)
            .await?
            .context("no such worker")?;
        drop(conn);
        fleet::revoke(&self.app.ground, &found.id, &Actor::System).await?;
        Ok(())
    }

    /// Commits this pipeline file and tells the hook.
    pub async fn push(&self, pipeline: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.commit(pipeline)?.send().await?,
            "the delivery was refused"
        );
        Ok(())
    }

    /// Commits this pipeline file; the hook is told by [`Push::send`].
    pub fn commit(&self, pipeline: &str) -> anyhow::Result<Push> {
        self.commit_files(&[(".sallyport.yml", pipeline)])
    }

    /// As [`Orchestrator::commit`], with these files.
    pub fn commit_files(&self, files: &[(&str, &str)]) -> anyhow::Result<Push> {
        let git = self.folder.path().join("shop.git");
        let commit = repository::commit(&git, files)?;
        let url = format!("{}/hooks/{}", self.app.config.server.public_url, self.hook);
        Push::of(url, &commit)
    }

    /// Asks for the end of a run.
    pub async fn cancel(&self, number: i64) -> anyhow::Result<()> {
        let run = self.run(number).await?.context("no such run")?;
        run::cancel(&self.app.ground, &run.id, &Actor::System).await?;
        self.app.bells.step.ring();
        Ok(())
    }

    /// A run.
    pub async fn run(&self, number: i64) -> anyhow::Result<Option<Run>> {
        let mut conn = self.app.ground.db.reader().await?;
        Ok(run::by_number(&mut conn, &Name::parse("shop")?, number).await?)
    }

    /// Waits until a run has been made.
    pub async fn made(&self, number: i64) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.run(number).await?.is_none() {
            if Instant::now() > until {
                bail!("there is no run {number}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until a run has ended; why it did.
    pub async fn ended(&self, number: i64) -> anyhow::Result<Cause> {
        let until = Instant::now() + PATIENCE;
        loop {
            let state = self.run(number).await?.map(|run| run.state);
            match state {
                Some(RunState::Finished { cause, .. } | RunState::Refused { cause, .. }) => {
                    return Ok(cause);
                }
                Some(RunState::Invalid { .. }) => bail!("the run is invalid"),
                Some(RunState::Waiting | RunState::Running { .. }) | None => {}
            }
            if Instant::now() > until {
                bail!(
                    "run {number} has not ended: {state:?} {:?}",
                    self.steps(number).await?
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The steps of a run with their states.
    pub async fn steps(&self, number: i64) -> anyhow::Result<Vec<(String, StepState)>> {
        let steps = self.whole_steps(number).await?;
        Ok(steps
            .into_iter()
            .map(|step| (step.name.to_string(), step.state))
            .collect())
    }

    /// The log of a step's last lease.
    pub async fn log(&self, number: i64, step: &str) -> anyhow::Result<String> {
        let steps = self.whole_steps(number).await?;
        let step = steps
            .iter()
            .find(|s| s.name.as_str() == step)
            .context("no such step")?;
        let logs = &self.app.steps.logs;
        let slice = logs.read(&self.app.ground, &step.id, step.fence, 0).await?;
        Ok(String::from_utf8_lossy(&slice.bytes).into_owned())
    }

    async fn whole_steps(&self, number: i64) -> anyhow::Result<Vec<Step>> {
        let Some(run) = self.run(number).await? else {
            return Ok(Vec::new());
        };
        let mut conn = self.app.ground.db.reader().await?;
        Ok(step::list(&mut conn, &run.id).await?)
    }

    async fn open(
        config: Config,
        folder: Arc<tempfile::TempDir>,
        hook: String,
    ) -> anyhow::Result<Self> {
        let (app, entrance) = serve(config, Arc::new(SystemClock)).await?;
        Ok(Self {
            app,
            entrance,
            folder,
            hook,
        })
    }

    async fn add_hook(&self) -> anyhow::Result<String> {
        let hook = AddHook {
            project_id: ProjectId::parse(PROJECT)?,
            provider: Provider::Git,
            secret: HOOK_SECRET.to_owned().into(),
            pusher: None,
        };
        let added = delivery::add_hook(&self.app.intake, &Actor::System, hook).await??;
        Ok(added.id.to_string())
    }

    async fn make_project(&self) -> anyhow::Result<()> {
        let git = self.folder.path().join("shop.git");
        let settings = format!(
            "version: 1\nproject: shop\nsource: {{ git: \"{}\" }}\n\
             known-registries: [\"registry.example/base/*\"]\n\
             quarantine: registry.example/quarantine/shop\n\
             limits: {{ timeout: 1h, memory: 4GiB, parallel-steps: 4 }}\nenvironments: {{}}\n",
            git.display()
        );
        let write = self.app.ground.db.write("test.project", move |conn| {
            Box::pin(async move {
                ::orchestrator::execute!(
                    conn,
                    "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                     VALUES ($1, 'shop', 1, 1, 0, 0)",
                    PROJECT
                )?;
                ::orchestrator::execute!(
                    conn,
                    "INSERT INTO project_settings (project_id, version, document, digest, applied_at, applied_by)
                     VALUES ($1, 1, $2, 'd', 1, 'system')",
                    PROJECT,
                    settings.as_bytes()
                )?;
                Ok::<_, db::Error>(())
            })
        });
        write.await?;
        Ok(())
    }
}

/// Opens all that a server consists of, starts its stages and listens, as `sallyport serve` does;
/// where workers come in.
pub(crate) async fn serve(
    config: Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<App>, SocketAddr)> {
    let app = App::open_at(config, clock).await?;
    for stage in flow::stages(&app) {
        app.tasks
            .start(stage.name, reconcile::run(stage, app.tasks.stop()));
    }
    http::serve::public(&app).await?;
    let entrance = Entrance {
        ground: app.ground.clone(),
        keys: Arc::clone(&app.fleet),
        hands: app.steps.clone(),
        issuer: Arc::clone(&app.issuer),
        bells: app.bells.clone(),
        stop: app.tasks.stop(),
    };
    let worker = &app.config.worker;
    let entrance = http::serve::workers(&app.tasks, entrance, worker.listen, &worker.names)?;
    Ok((app, entrance))
}

fn config(folder: &Path, public: u16, worker: u16) -> anyhow::Result<Config> {
    let master = folder.join("master.key");
    if !master.exists() {
        std::fs::write(&master, "42".repeat(32))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&master, private)?;
    }
    let text = format!(
        "[server]\npublic-url = \"http://localhost:{public}\"\nlisten = \"127.0.0.1:{public}\"\n\
         data-dir = \"{0}/data\"\n\
         [worker]\nlisten = \"127.0.0.1:{worker}\"\n\
         [signer]\nsocket = \"{0}/signer.sock\"\nuid = 0\n\
         [registry]\nname = \"registry.example\"\n\
         [master-key]\nfile = \"{0}/master.key\"\n",
        folder.display()
    );
    let path = folder.join("sallyport.toml");
    std::fs::write(&path, text)?;
    Ok(Config::load(&Place::file(path))?)
}

async fn init(config: &Config) -> anyhow::Result<()> {
    let data_dir = &config.server.data_dir;
    std::fs::create_dir_all(data_dir)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data_dir, private)?;
    let master = MasterKey::load(&config.master_key)?;
    let clock = Arc::new(SystemClock);
    let db = Db::open(&config.database_url()?).await?;
    let ids = Arc::new(SystemIds::new(clock.clone()));
    let ground = Ground { db, clock, ids };
    let admin = FirstAdmin {
        name: Name::parse("root")?,
        email: None,
        password: PASSWORD.to_owned().into(),
    };
    let made = instance::init(&ground, config, &master, Vec::new(), admin).await?;
    ground.db.close().await;
    match made {
        InitOutcome::Made(_) => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// A person of a story, with a session and a token.
pub struct Person {
    /// The name.
    pub name: String,
    /// The session's cookie, as a browser sends it.
    pub cookie: String,
    /// What forms of the session carry.
    pub csrf: String,
    /// A token of theirs.
    pub token: String,
}

/// A password that nobody else has.
const STORY_PASSWORD: &str = "a password for stories";

/// People, and what stories about the entrances look at.
impl Orchestrator {
    /// The whole server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// `http://localhost:<port>`.
    pub fn url(&self) -> String {
        self.app.config.server.public_url.clone()
    }

    /// Opens `admin.sock`; its path.
    pub fn open_admin(&self) -> anyhow::Result<PathBuf> {
        http::serve::admin(&self.app)?;
        Ok(self.data_dir().join(http::serve::ADMIN_SOCKET))
    }

    /// Makes a person with these roles, signed in; `in_shop` grants them for the project alone.
    pub async fn person(
        &self,
        name: &str,
        roles: &[Role],
        in_shop: bool,
    ) -> anyhow::Result<Person> {
        let grant = |role: &Role| Grant {
            role: *role,
            project_id: in_shop.then(|| PROJECT.to_owned()),
        };
        let new = NewPerson {
            name: Name::parse(name)?,
            display_name: name.to_owned(),
            email: None,
            grants: roles.iter().map(grant).collect(),
            password: STORY_PASSWORD.to_owned().into(),
        };
        let app = &self.app;
        let added = identity::add(&app.ground, &app.passwords, &Actor::System, new).await?;
        let AddOutcome::Added(id) = added else {
            bail!("{name} could not be added: {added:?}");
        };
        let password = STORY_PASSWORD.to_owned().into();
        let signed_in = identity::sign_in(&app.ground, &app.passwords, name, password).await?;
        let SignInOutcome::SignedIn(cookie) = signed_in else {
            bail!("{name} could not sign in");
        };
        let session = identity::of_cookie(&app.ground, &cookie).await?;
        let made = identity::make_token(&app.ground, &Actor::System, &id, "story").await?;
        Ok(Person {
            name: name.to_owned(),
            cookie: format!("session={}", cookie.as_str()),
            csrf: session.context("no session")?.csrf,
            token: made.secret.to_string(),
        })
    }
}

/// The data folder, for stories that look at files.
impl Orchestrator {
    /// `data_dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.app.config.server.data_dir.clone()
    }
}
