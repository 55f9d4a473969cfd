//! `worker.toml`: what the operator says about this worker.
//!
//! The environment (`SALLYPORT__SECTION__KEY`) stands over the file, `--set section.key=value` over both.
//! An unknown key or a bad value is an error that says where it stands and what is allowed.

use crate::identity::{Identity, IdentityError};
use crate::step::chain;
use contract::configuration::{self, CONFIG_BYTES_MAX, ConfigError, Fault, Origins, Over, Place};
use contract::name::Name;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More steps at once than one engine can run well.
pub const SLOTS_MAX: u32 = 64;
/// Before the variables that stand over `worker.toml`.
const ENVIRONMENT_PREFIX: &str = "SALLYPORT";

/// The whole of `worker.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The worker itself.
    pub worker: WorkerConfig,
    /// Whom it works for.
    pub orchestrator: OrchestratorConfig,
    /// Its container engine.
    pub engine: crate::engine::Config,
    /// How its log looks.
    #[serde(default)]
    pub log: Log,
}

/// `[log]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `human` or `json`.
    #[serde(default)]
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads and checks `worker.toml`.
    pub fn load(place: &Place) -> Result<Self, ConfigError> {
        Self::load_whole(place).map(|(config, _)| config)
    }

    /// As [`Config::load`], with where each value came from.
    pub fn load_whole(place: &Place) -> Result<(Self, Origins), ConfigError> {
        read(place, ENVIRONMENT_PREFIX)
    }

    /// Everything that is wrong with what it names, looked at without starting anything.
    pub fn faults(&self) -> Vec<Fault> {
        let data_dir = &self.worker.data_dir;
        let fault = |section, key, problem| Fault {
            section,
            key,
            problem,
        };
        let mut faults = Vec::new();
        if let Err(problem) = private_folder(data_dir) {
            faults.push(fault("worker", "data-dir", problem));
        }
        if let Err(error @ IdentityError::File { .. }) = Identity::load(&self.worker.identity_dir())
        {
            faults.push(fault("worker", "data-dir", chain(&error)));
        }
        if data_dir.is_dir() && !self.worker.identity_dir().is_dir() {
            let shown = data_dir.display();
            let problem = format!("no identity in {shown}: run `sallyport-worker enrol` first");
            faults.push(fault("worker", "data-dir", problem));
        }
        let socket = &self.engine.socket;
        let shown = socket.display();
        let problem = match std::fs::metadata(socket) {
            Ok(found) if found.file_type().is_socket() => None,
            Ok(_) => Some(format!("{shown} is not a socket")),
            Err(error) => Some(format!(
                "{shown}: {error}; does `sallyport-worker engine` run?"
            )),
        };
        faults.extend(problem.map(|problem| fault("engine", "socket", problem)));
        faults
    }
}

/// A folder of our own that nobody else can look into.
pub fn private_folder(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let found = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    let mode = found.mode() & 0o777;
    let own = nix::unistd::geteuid().as_raw();
    if !found.is_dir() {
        Err(format!("{shown} is not a folder"))
    } else if found.uid() != own {
        Err(format!(
            "{shown} belongs to uid {}, this is uid {own}: the worker has a user of its own, who enrols and runs it",
            found.uid()
        ))
    } else if mode & 0o077 != 0 {
        Err(format!(
            "mode {mode:03o} lets others in; run `chmod 700 {shown}`"
        ))
    } else {
        Ok(())
    }
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkerConfig {
    /// The name under which it enrols and is known.
    pub name: Name,
    /// Holds its identity (0600), the log spool and images under scan.
    pub data_dir: PathBuf,
    /// How many steps it works on at once.
    #[serde(default)]
    pub slots: Slots,
    /// After a request to stop, leases may finish for this long.
    #[serde(default = "stop_grace_default")]
    stop_grace_secs: u64,
}

/// `[orchestrator]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrchestratorConfig {
    /// The worker entrance.
    pub url: EntranceUrl,
}

impl WorkerConfig {
    /// After a request to stop, leases may finish for this long.
    pub fn stop_grace(&self) -> Duration {
        Duration::from_secs(self.stop_grace_secs)
    }

    /// Where the identity lies.
    pub fn identity_dir(&self) -> PathBuf {
        self.data_dir.join("identity")
    }

    /// Where logs wait for the orchestrator.
    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir.join("spool")
    }
}

fn stop_grace_default() -> u64 {
    600
}

/// How many steps at once: 1 to [`SLOTS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Slots(u32);

impl Slots {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Slots {
    type Error = String;
    fn try_from(slots: u32) -> Result<Self, Self::Error> {
        if (1..=SLOTS_MAX).contains(&slots) {
            Ok(Self(slots))
        } else {
            Err(format!("slots is {slots}: wanted 1 to {SLOTS_MAX}"))
        }
    }
}

/// `https://host[:port]`, nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EntranceUrl(reqwest::Url);

impl EntranceUrl {
    /// An address below the entrance; `path` begins with `/`.
    pub fn join(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

impl TryFrom<String> for EntranceUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wanted = "wanted `https://host:port` of the worker entrance, with no path";
        let url = reqwest::Url::parse(&text).map_err(|e| format!("{e}: {wanted}"))?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() != "https" {
            return Err(format!(
                "a worker speaks https only, not {}: {wanted}",
                url.scheme()
            ));
        }
        if !bare || url.host().is_none() {
            return Err(wanted.to_owned());
        }
        Ok(Self(url))
    }
}

/// Reads a configuration of this program, with this process's environment over the file.
pub(crate) fn read<T: DeserializeOwned>(
    place: &Place,
    prefix: &str,
) -> Result<(T, Origins), ConfigError> {
    let shown = place.path.display();
    let one = |problem: String| ConfigError(vec![problem]);
    let cannot = |error: std::io::Error| one(format!("cannot read {shown}: {error}"));
    if std::fs::metadata(&place.path).map_err(cannot)?.len() > CONFIG_BYTES_MAX {
        return Err(one(format!(
            "{shown} is larger than {CONFIG_BYTES_MAX} bytes"
        )));
    }
    let text = std::fs::read_to_string(&place.path).map_err(cannot)?;
    let over = Over {
        prefix,
        environment: configuration::variables(std::env::vars_os()),
        never_flags: &[],
    };
    configuration::read(place, &text, over)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[worker]
name = "w1"
data-dir = "/var/lib/sallyport-worker"

[orchestrator]
url = "https://127.0.0.1:7443"

[engine]
socket = "/run/sallyport/docker.sock"
"#;

    fn parsed(text: &str, variables: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
        let place = Place {
            path: "worker.toml".into(),
            set: set.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let over = Over {
            prefix: ENVIRONMENT_PREFIX,
            environment: variables.iter().map(own),
            never_flags: &[],
        };
        let read: Result<(Config, Origins), _> = configuration::read(&place, text, over);
        read.map(|(config, _)| config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_stand_over_the_environment_over_a_file_with_defaults() {
        let config = parsed(GOOD, &[], &[]).unwrap();
        assert_eq!(config.worker.slots.get(), 1);
        assert_eq!(
            config.orchestrator.url.join("/worker/v1/hello").as_str(),
            "https://127.0.0.1:7443/worker/v1/hello"
        );
        let variables = [("SALLYPORT__WORKER__SLOTS", "3"), ("OTHER", "x")];
        let config = parsed(GOOD, &variables, &[]).unwrap();
        assert_eq!(config.worker.slots.get(), 3);
        let config = parsed(GOOD, &variables, &["worker.slots=4", "log.format=json"]).unwrap();
        assert_eq!(config.worker.slots.get(), 4);
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn all_that_the_configuration_names_is_looked_at() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (data, socket) = (
            folder.path().join("data"),
            folder.path().join("docker.sock"),
        );
        let file = folder.path().join("worker.toml");
        let text = GOOD
            .replace("/var/lib/sallyport-worker", &data.display().to_string())
            .replace("/run/sallyport/docker.sock", &socket.display().to_string());
        std::fs::write(&file, text).unwrap();
        let said = || {
            let (config, origins) = Config::load_whole(&Place::file(&file)).unwrap();
            origins.blame(&config.faults()).join("\n")
        };
        assert!(
            said().contains(", line 4: [worker] data-dir: "),
            "{}",
            said()
        );
        assert!(
            said().contains(", line 10: [engine] socket: "),
            "{}",
            said()
        );
        std::fs::create_dir(&data).unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&data, open).unwrap();
        std::fs::write(&socket, "").unwrap();
        assert!(said().contains("mode 755 lets others in"), "{}", said());
        assert!(
            said().contains("run `sallyport-worker enrol` first"),
            "{}",
            said()
        );
        assert!(said().contains("is not a socket"), "{}", said());
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::create_dir(data.join("identity")).unwrap();
        std::fs::remove_file(&socket).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(said(), "");
    }

    #[test]
    fn what_is_missing_is_named_once_and_nothing_is_made_up() {
        let said = parsed("[worker]\nname = \"a\"\n", &[], &[]).unwrap_err();
        let wanted = [
            "worker.toml, line 1: [worker]: missing field `data-dir`",
            "worker.toml: missing field `orchestrator`",
            "worker.toml: [orchestrator]: missing field `url`",
            "worker.toml: missing field `engine`",
            "worker.toml: [engine]: missing field `socket`",
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn every_mistake_is_named_at_once_with_its_place_and_what_is_allowed() {
        let text = GOOD
            .replace("data-dir", "datadir")
            .replace("https:", "http:");
        let variables = [("SALLYPORT__WORKER__SLOTS", "0")];
        let said = parsed(&text, &variables, &["engine.sockets=/x"]).unwrap_err();
        let line = |part: &str| {
            let found = said.lines().find(|line| line.contains(part));
            found.unwrap_or_else(|| panic!("{part}: {said}")).to_owned()
        };
        let unknown = line("[worker] datadir");
        assert!(
            unknown.starts_with("worker.toml, line 4: [worker] datadir: unknown field"),
            "{said}"
        );
        assert!(unknown.contains("`data-dir`"), "{said}");
        let plain = line("https only");
        assert!(
            plain.starts_with("worker.toml, line 7: [orchestrator] url: "),
            "{said}"
        );
        let slots = line("wanted 1 to 64");
        assert!(
            slots.starts_with("environment SALLYPORT__WORKER__SLOTS: "),
            "{said}"
        );
        assert!(
            line("--set engine.sockets").contains("unknown field"),
            "{said}"
        );
    }
}
