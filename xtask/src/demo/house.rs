//! Sallyport itself: signer, server, engine and worker, each under an account of its own, with the
//! people and the project of the sample.

use super::elevate;
use super::place::{Account, give};
use super::program::command;
use super::sample::{DEVELOPER, Filling, Sample, advisories};
use super::start::{Demo, FIRST_ANSWER};
use crate::curl::Curl;
use crate::program::{is_root, quiet};
use crate::registry::TokenService;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person of the sample: sign-in name, name, roles.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    display_name: &'static str,
    email: &'static str,
    roles: &'static [&'static str],
    pub(crate) password: String,
}

/// The house, up and running.
pub(crate) struct House {
    config: PathBuf,
    socket: PathBuf,
    pub(crate) public_keys: PathBuf,
    pub(crate) developer: Person,
    pub(crate) manager: Person,
    pub(crate) auditor: Person,
}

fn person(
    name: &'static str,
    display_name: &'static str,
    email: &'static str,
    roles: &'static [&'static str],
) -> Result<Person> {
    let mut random = [0_u8; 12];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(Person {
        name,
        display_name,
        email,
        roles,
        password: hex::encode(random),
    })
}

impl House {
    /// Starts signer, registry with its token service, server, engine and worker; makes people and
    /// project; installs the hook.
    pub(crate) fn raise(demo: &mut Demo, sample: &Sample, filling: &Filling) -> Result<Self> {
        let folder = demo.place.private("server", Account::Server)?;
        let house = Self {
            config: folder.join("sallyport.toml"),
            socket: folder.join("data").join("admin.sock"),
            public_keys: demo.place.folder("public", Some(Account::Signer), 0o755)?,
            developer: person("dana", DEVELOPER.0, DEVELOPER.1, &["developer"])?,
            manager: person(
                "rita",
                "Rita Release",
                "rita@shop.example",
                &["release-manager"],
            )?,
            auditor: person(
                "audrey",
                "Audrey Audit",
                "audrey@shop.example",
                &["auditor"],
            )?,
        };
        house.start_signer(demo)?;
        house.start_server(demo, &folder)?;
        house.furnish(demo, &folder, sample, filling)?;
        house.start_worker(demo)?;
        Ok(house)
    }

    fn start_signer(&self, demo: &mut Demo) -> Result<()> {
        demo.say("the signer, alone with its keys");
        let folder = demo.place.private("signer", Account::Signer)?;
        let run = demo
            .place
            .folder("signer-run", Some(Account::Signer), 0o711)?;
        let config = folder.join("signer.toml");
        let uid = account_id(Account::Server);
        let text = format!(
            "[signer]\nsocket = \"{}\"\ndata-dir = \"{}\"\nserver-uid = {uid}\n[master-key]\nfile = \"{}\"\n",
            run.join("signer.sock").display(),
            folder.join("data").display(),
            folder.join("master.key").display(),
        );
        demo.place.file(&config, Account::Signer, &text)?;
        let program = demo.program("sallyport");
        let config_text = config.display().to_string();
        let keys = self.public_keys.display().to_string();
        quiet(as_account(Account::Signer, &program).args([
            "--config",
            &config_text,
            "signer",
            "init",
            "--public",
            &keys,
        ]))?;
        let mut signer = command(&demo.ledger, Some(Account::Signer), &program);
        signer.args(["--config", &config_text, "signer", "run"]);
        demo.programs.start(&mut demo.ledger, "signer", signer)?;
        let socket = run.join("signer.sock");
        demo.programs
            .wait_for("the signer", FIRST_ANSWER, || Ok(socket.exists()))
    }

    fn start_server(&self, demo: &mut Demo, folder: &Path) -> Result<()> {
        demo.say("the server and its registry");
        demo.place.file(
            &self.config,
            Account::Server,
            &self.server_toml(demo, folder)?,
        )?;
        let mut random = [0_u8; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        demo.place.file(
            &folder.join("master.key"),
            Account::Server,
            &hex::encode(random),
        )?;
        let admin = folder.join("admin.password");
        demo.place
            .file(&admin, Account::Server, &hex::encode(&random[..12]))?;
        let said = self.run(
            demo,
            &[
                "init",
                "--admin",
                "ada",
                "--admin-password-file",
                &admin.display().to_string(),
            ],
        )?;
        let instance = said.lines().find_map(|line| line.strip_prefix("instance "));
        let instance = instance
            .context("init says which instance it made")?
            .to_owned();
        self.start_registry(demo, folder, &instance)?;
        let mut server = command(
            &demo.ledger,
            Some(Account::Server),
            &demo.program("sallyport"),
        );
        server.arg("--config").arg(&self.config).arg("serve");
        demo.programs.start(&mut demo.ledger, "server", server)?;
        let ready = format!("{}/readyz", demo.url());
        demo.programs.wait_for("the server", FIRST_ANSWER, || {
            Ok(Curl::default()
                .get(&ready)
                .is_ok_and(|answer| answer.status == 200))
        })
    }

    /// The registry believes the key that init made.
    fn start_registry(&self, demo: &mut Demo, folder: &Path, instance: &str) -> Result<()> {
        let registry_folder = demo.place.private("registry", Account::Registry)?;
        let certificates = registry_folder.join("tokens.pem");
        std::fs::copy(
            folder.join("data").join("registry-token.pem"),
            &certificates,
        )?;
        give(&certificates, Account::Registry)?;
        let (realm, service) = (format!("{}/registry/token", demo.url()), demo.registry());
        let tokens = TokenService {
            realm: &realm,
            issuer: instance,
            service: &service,
            certificates: &certificates,
        };
        demo.start_registry(Some(&tokens))
    }

    fn server_toml(&self, demo: &Demo, folder: &Path) -> Result<String> {
        let tool = |name: &str| -> Result<String> {
            let wanted = format!("tools/{name}");
            let image = demo.images.iter().find(|image| image.name == wanted);
            let image = image.with_context(|| format!("there is no image {wanted}"))?;
            Ok(format!("{}/{wanted}@{}", demo.registry(), image.digest))
        };
        Ok(format!(
            "[server]\npublic-url = \"{}\"\nlisten = \"127.0.0.1:{}\"\ndata-dir = \"{}\"\n\
             [worker]\nlisten = \"127.0.0.1:{}\"\n\
             [signer]\nsocket = \"{}\"\nuid = {}\n\
             [registry]\nname = \"{}\"\nplain-http = true\n\
             [tools]\nhadolint = \"{}\"\ngitleaks = \"{}\"\nsyft = \"{}\"\n\
             [master-key]\nfile = \"{}\"\n",
            demo.url(),
            demo.ports.server,
            folder.join("data").display(),
            demo.ports.worker,
            demo.place
                .root()
                .join("signer-run")
                .join("signer.sock")
                .display(),
            account_id(Account::Signer),
            demo.registry(),
            tool("hadolint")?,
            tool("gitleaks")?,
            tool("syft")?,
            folder.join("master.key").display(),
        ))
    }

    /// People, advisories, the project, its hook.
    fn furnish(
        &self,
        demo: &Demo,
        folder: &Path,
        sample: &Sample,
        filling: &Filling,
    ) -> Result<()> {
        demo.say("people, advisories, the project `shop` and its hook");
        for person in [&self.developer, &self.manager, &self.auditor] {
            let file = folder.join(format!("{}.password", person.name));
            demo.place.file(&file, Account::Server, &person.password)?;
            let file = file.display().to_string();
            let mut words = vec![
                "user",
                "add",
                person.name,
                "--display-name",
                person.display_name,
            ];
            words.extend(["--email", person.email, "--password-file", &file]);
            for role in person.roles {
                words.extend(["--role", role]);
            }
            self.run(demo, &words)?;
        }
        let records = demo
            .place
            .folder("advisories", Some(Account::Server), 0o755)?;
        for entry in std::fs::read_dir(advisories())? {
            let entry = entry?;
            std::fs::copy(entry.path(), records.join(entry.file_name()))?;
        }
        self.run(
            demo,
            &["advisories", "import", &records.display().to_string()],
        )?;
        let settings = folder.join("shop.yml");
        demo.place
            .file(&settings, Account::Server, &filling.settings()?)?;
        self.apply_settings(demo, folder, &settings)?;
        // As root: the hook's files belong to the repository's owner.
        let mut install = Command::new(demo.program("sallyport"));
        install
            .arg("--config")
            .arg(&self.config)
            .args(["hook", "install"]);
        quiet(
            install
                .arg(&sample.bare)
                .args(["--pusher", self.developer.name]),
        )?;
        Ok(())
    }

    /// As ada, by a token that she made herself: settings that nobody can be matched to would ask for
    /// one more approval.
    fn apply_settings(&self, demo: &Demo, folder: &Path, settings: &Path) -> Result<()> {
        let (password, token) = (folder.join("admin.password"), folder.join("ada.token"));
        let (password, out) = (password.display().to_string(), token.display().to_string());
        let words = [
            "user",
            "token",
            "ada",
            "--password-file",
            &password,
            "--out",
            &out,
        ];
        self.run(demo, &words)?;
        let mut apply = as_account(Account::Server, &demo.program("sallyport"));
        apply
            .env("SALLYPORT_URL", demo.url())
            .env("SALLYPORT_TOKEN_FILE", &token)
            .arg("--config")
            .arg(&self.config)
            .args(["project", "apply"]);
        quiet(apply.arg(settings)).map(drop)
    }

    fn start_worker(&self, demo: &mut Demo) -> Result<()> {
        demo.say("the worker and its own engine");
        let program = demo.program("sallyport-worker");
        let folder = demo.place.private("worker", Account::Worker)?;
        let engine = demo.place.folder("engine", None, 0o711)?;
        let engine_toml = engine.join("engine.toml");
        let run = engine.join("run");
        let text = format!(
            "[engine-host]\ncgroup = \"{}\"\ndata-dir = \"{}\"\nrun-dir = \"{}\"\ngroup = {}\nregistries = [\"{}\"]\n",
            demo.ledger.entry.cgroup,
            demo.ledger.entry.engine_data.display(),
            run.display(),
            group_id(Account::Worker),
            demo.registry(),
        );
        std::fs::write(&engine_toml, text)?;
        elevate::start_engine(demo, &program, &engine_toml)?;
        let socket = run.join("docker.sock");
        let ping = || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--max-time", "2", "--unix-socket"])
                .arg(&socket);
            Ok(quiet(curl.arg("http://engine/_ping")).is_ok())
        };
        demo.programs.wait_for("the engine", FIRST_ANSWER, ping)?;
        let token = self.config.with_file_name("worker.token");
        self.run(
            demo,
            &["worker", "token", "--out", &token.display().to_string()],
        )?;
        let own_token = folder.join("token");
        std::fs::copy(&token, &own_token)?;
        give(&own_token, Account::Worker)?;
        let worker_toml = folder.join("worker.toml");
        let text = format!(
            "[worker]\nname = \"demo\"\ndata-dir = \"{}\"\nslots = 2\nstop-grace-secs = 10\n\
             [orchestrator]\nurl = \"https://127.0.0.1:{}\"\n[engine]\nsocket = \"{}\"\n",
            folder.join("data").display(),
            demo.ports.worker,
            socket.display(),
        );
        demo.place.file(&worker_toml, Account::Worker, &text)?;
        let (config, token) = (
            worker_toml.display().to_string(),
            own_token.display().to_string(),
        );
        quiet(as_account(Account::Worker, &program).args([
            "enrol",
            "--config",
            &config,
            "--token-file",
            &token,
        ]))?;
        let mut worker = command(&demo.ledger, Some(Account::Worker), &program);
        worker.args(["run", "--config", &config]);
        demo.programs.start(&mut demo.ledger, "worker", worker)
    }

    /// One command of the server's command line, as the server's account.
    pub(crate) fn run(&self, demo: &Demo, words: &[&str]) -> Result<String> {
        let mut command = as_account(Account::Server, &demo.program("sallyport"));
        quiet(command.arg("--config").arg(&self.config).args(words))
    }

    /// A file beside the server's configuration.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.config.with_file_name(name)
    }

    /// A public key of the signer, as PEM in a file.
    pub(crate) fn public_key(&self, role: &str) -> Result<PathBuf> {
        let files = std::fs::read_dir(&self.public_keys)?;
        let found = files.flatten().map(|file| file.path()).find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(role))
        });
        found.with_context(|| format!("the signer printed no {role} key"))
    }

    /// A token with which the auditor reads one repository.
    pub(crate) fn pull_token(&self, demo: &Demo, path: &str) -> Result<String> {
        let file = self.config.with_file_name("audrey.token");
        if !file.exists() {
            let file = file.display().to_string();
            self.run(demo, &["user", "token", self.auditor.name, "--out", &file])?;
        }
        let token = std::fs::read_to_string(&file)?;
        let (service, url) = (demo.registry(), demo.url());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "30", "--user"]);
        curl.arg(format!("{}:{}", self.auditor.name, token.trim()));
        curl.arg(format!(
            "{url}/registry/token?service={service}&scope=repository:{path}:pull"
        ));
        let answer: Value = serde_json::from_str(&quiet(&mut curl)?)?;
        Ok(answer["token"].as_str().context("a token")?.to_owned())
    }

    /// What the API at `admin.sock` says.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "30", "--unix-socket"])
            .arg(&self.socket);
        quiet(curl.arg(format!("http://localhost{path}")))
    }

    /// The same as JSON; `None` when there is no such thing yet.
    pub(crate) fn ask(&self, path: &str) -> Result<Option<Value>> {
        match self.read(path) {
            Ok(text) => Ok(Some(
                serde_json::from_str(&text).context("the API answers in JSON")?,
            )),
            Err(_) => Ok(None),
        }
    }
}

/// The account's number, or this user's where nobody else can be.
fn account_id(account: Account) -> u32 {
    if is_root() {
        account.id()
    } else {
        nix::unistd::geteuid().as_raw()
    }
}

/// The account's group, or this user's.
fn group_id(account: Account) -> u32 {
    if is_root() {
        account.id()
    } else {
        nix::unistd::getegid().as_raw()
    }
}

fn as_account(account: Account, program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(account.id()).gid(account.id());
    }
    command.current_dir("/");
    command
}
