//! An instance with everything in it: people, the project `shop` with dev, staging and prod, a hook,
//! advisories, signer keys, a repository; on either database. Nothing runs yet.

use crate::database::Database;
use crate::repository;
use anyhow::{Context as _, bail, ensure};
use contract::name::Name;
use orchestrator::app::App;
use orchestrator::clock::SystemClock;
use orchestrator::config::{Config, Place};
use orchestrator::db::Db;
use orchestrator::delivery::{self, AddHook, Provider};
use orchestrator::finding::advisory::{self, ImportOutcome};
use orchestrator::ground::Ground;
use orchestrator::id::SystemIds;
use orchestrator::identity::{self, Actor, AddOutcome, Grant, NewPerson, PersonId, Role};
use orchestrator::instance::{self, FirstAdmin, InitOutcome, REGISTRY_CERTIFICATE};
use orchestrator::project::{self, ApplyOutcome, ProjectId};
use orchestrator::signing::{self, SignerConfig};
use orchestrator::vault::MasterKey;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everybody's password, long enough.
pub const PASSWORD: &str = "correct horse battery staple";
/// The hook's secret.
pub const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Who commits, pushes and requests.
pub const DEVELOPER: &str = "mara";
/// Who approves.
pub const MANAGER: &str = "rita";

/// Loopback ports of one instance.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Pages, API, hooks, `/registry/token`.
    pub public: u16,
    /// The entrance for workers.
    pub worker: u16,
    /// The registry, as everybody names it.
    pub registry: u16,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self {
            public: free_port()?,
            worker: free_port()?,
            registry: free_port()?,
        })
    }

    /// The registry's name.
    pub fn registry_name(&self) -> String {
        format!("127.0.0.1:{}", self.registry)
    }

    /// How people and forges reach the instance.
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.public)
    }

    /// The worker entrance.
    pub fn entrance(&self) -> String {
        format!("https://127.0.0.1:{}", self.worker)
    }
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// A furnished instance.
pub struct House {
    /// Its folder: `server/` (what a server needs and nothing else), `signer/`, `shop.git`.
    pub folder: tempfile::TempDir,
    /// Its ports.
    pub ports: Ports,
    /// Its database.
    pub database: Database,
    /// The hook's id.
    pub hook: String,
    /// The instance's id.
    pub instance: String,
}

impl House {
    /// Makes it.
    pub async fn furnish(database: Database, ports: Ports) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = folder.path().join("server");
        // A server refuses a data folder into which others can look.
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(server.join("data"))?;
        std::fs::create_dir_all(folder.path().join("signer"))?;
        repository::make(&folder.path().join("shop.git"))?;
        write_configs(folder.path(), &database, ports)?;
        let config = Config::load(&Place::file(server.join("sallyport.toml")))?;
        let signer = SignerConfig::load(&Place::file(folder.path().join("signer/signer.toml")))?;
        let instance = init(&config, &signer).await?;
        let app = App::open(config).await?;
        let pusher = add_people(&app).await?;
        import_advisories(&app).await?;
        let project_id = apply_settings(&app, folder.path(), ports).await?;
        let hook = AddHook {
            project_id,
            provider: Provider::Git,
            secret: HOOK_SECRET.to_owned().into(),
            pusher: Some(pusher),
        };
        let added = delivery::add_hook(&app.intake, &Actor::System, hook).await??;
        app.tasks.stop().cancel();
        app.ground.db.close().await;
        Ok(Self {
            folder,
            ports,
            database,
            hook: added.id.to_string(),
            instance,
        })
    }

    /// What a server needs: configuration, master key, `data/`.
    pub fn server(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// The server's configuration file.
    pub fn config(&self) -> PathBuf {
        self.server().join("sallyport.toml")
    }

    /// The signer's configuration file.
    pub fn signer_config(&self) -> PathBuf {
        self.folder.path().join("signer/signer.toml")
    }

    /// The certificate of the key that signs the registry's tokens.
    pub fn token_certificate(&self) -> PathBuf {
        self.server().join("data").join(REGISTRY_CERTIFICATE)
    }

    /// The bare repository.
    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("shop.git")
    }
}

/// The two files; the server's names only paths below its own folder, beside the signer's socket.
fn write_configs(folder: &Path, database: &Database, ports: Ports) -> anyhow::Result<()> {
    let (server, signer) = (folder.join("server"), folder.join("signer"));
    private(&server.join("master.key"), &"42".repeat(32))?;
    private(&server.join("database.url"), &database.url(&server))?;
    let uid = nix::unistd::geteuid();
    let registry = ports.registry_name();
    let tool = |name: &str| {
        format!(
            "{name} = \"{registry}/tools/{name}@sha256:{}\"\n",
            "1".repeat(64)
        )
    };
    let text = format!(
        "[server]\npublic-url = \"{url}\"\nlisten = \"127.0.0.1:{public}\"\ndata-dir = \"{0}/data\"\n\
         [worker]\nlisten = \"127.0.0.1:{worker}\"\n\
         [database]\nurl-file = \"{0}/database.url\"\n\
         [signer]\nsocket = \"{socket}\"\nuid = {uid}\n\
         [registry]\nname = \"{registry}\"\nplain-http = true\n\
         [tools]\n{hadolint}{gitleaks}{syft}\
         [master-key]\nfile = \"{0}/master.key\"\n",
        server.display(),
        url = ports.public_url(),
        public = ports.public,
        worker = ports.worker,
        socket = signer.join("socket").display(),
        hadolint = tool("hadolint"),
        gitleaks = tool("gitleaks"),
        syft = tool("syft"),
    );
    std::fs::write(server.join("sallyport.toml"), text)?;
    // A sweep has one signer sign for hundreds of stories.
    let text = format!(
        "[signer]\nsocket = \"{0}/socket\"\ndata-dir = \"{0}/data\"\nserver-uid = {uid}\n\
         signatures-per-minute = 100000\n[master-key]\nfile = \"{0}/master.key\"\n",
        signer.display()
    );
    std::fs::write(signer.join("signer.toml"), text)?;
    Ok(())
}

fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode)?;
    Ok(())
}

/// Makes the instance with the signer's keys; its id.
async fn init(config: &Config, signer: &SignerConfig) -> anyhow::Result<String> {
    let clock = Arc::new(SystemClock);
    let ids = Arc::new(SystemIds::new(clock.clone()));
    let keys = signing::init(signer, &*ids)?;
    let master = MasterKey::load(&config.master_key)?;
    let db = Db::open(&config.database_url()?).await?;
    let ground = Ground { db, clock, ids };
    let admin = FirstAdmin {
        name: Name::parse("root")?,
        email: None,
        password: PASSWORD.to_owned().into(),
    };
    let made = instance::init(&ground, config, &master, keys, admin).await?;
    ground.db.close().await;
    match made {
        InitOutcome::Made(instance) => Ok(instance.id),
        other => bail!("{other:?}"),
    }
}

/// A developer and a release manager; the developer's id.
async fn add_people(app: &App) -> anyhow::Result<PersonId> {
    let person = |name: &str, role| -> anyhow::Result<NewPerson> {
        Ok(NewPerson {
            name: Name::parse(name)?,
            display_name: name.to_owned(),
            email: Some(format!("{name}@shop.example")),
            grants: vec![Grant {
                role,
                project_id: None,
            }],
            password: PASSWORD.to_owned().into(),
        })
    };
    let (ground, passwords) = (&app.ground, &app.passwords);
    let manager = person(MANAGER, Role::ReleaseManager)?;
    identity::add(ground, passwords, &Actor::System, manager).await?;
    let developer = person(DEVELOPER, Role::Developer)?;
    match identity::add(ground, passwords, &Actor::System, developer).await? {
        AddOutcome::Added(id) => Ok(id),
        other => bail!("{other:?}"),
    }
}

async fn import_advisories(app: &App) -> anyhow::Result<()> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("1.json", zip::write::SimpleFileOptions::default())?;
    let record = include_bytes!("../../xtask/demo-advisories/GHSA-4f7p-27jc-3c36.json");
    zip.write_all(record)?;
    let bytes = zip.finish()?.into_inner().into();
    match advisory::import(&app.ground, &Actor::System, bytes).await? {
        ImportOutcome::Imported(_) => Ok(()),
        ImportOutcome::Refused(why) => bail!("{why}"),
    }
}

/// The demo's own settings.
async fn apply_settings(app: &App, folder: &Path, ports: Ports) -> anyhow::Result<ProjectId> {
    let settings = include_str!("../../xtask/demo-settings.yml")
        .replace("@REGISTRY@", &ports.registry_name())
        .replace(
            "@REPOSITORY@",
            &folder.join("shop.git").display().to_string(),
        );
    let applied = project::apply(&app.ground, &Actor::System, 0, settings.into_bytes()).await?;
    let ApplyOutcome::Applied {
        project_id,
        version,
    } = applied
    else {
        bail!("{applied:?}");
    };
    ensure!(version == 1, "settings of version {version}");
    Ok(project_id)
}

/// A private folder's free space is not the story's business: copies what a server needs.
pub fn copy_server(from: &Path, to: &Path, database: &Database) -> anyhow::Result<()> {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .context("copy a server's folder")?;
    ensure!(status.success(), "copy a server's folder: {status}");
    let path = to.join("sallyport.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace(&from.display().to_string(), &to.display().to_string());
    std::fs::write(&path, text)?;
    private(&to.join("database.url"), &database.url(to))
}
