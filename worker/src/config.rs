//! `worker.toml`: what the operator says about this worker.
//!
//! The environment (`SALLYPORT__SECTION__KEY`) stands over the file. An unknown key or a bad value
//! is an error that says where it stands and what is allowed.

use contract::name::Name;
use serde::Deserialize;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More steps at once than one engine can run well.
pub const SLOTS_MAX: u32 = 64;
/// A configuration file is read whole; a real one has a few hundred bytes.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
const ENVIRONMENT_PREFIX: &str = "SALLYPORT__";

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
    /// Everything that is wrong with what it names, looked at without starting anything.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let data_dir = &self.worker.data_dir;
        faults.extend(private_folder("[worker] data-dir", data_dir).err());
        if data_dir.is_dir() && !self.worker.identity_dir().is_dir() {
            let shown = data_dir.display();
            faults.push(format!(
                "[worker] data-dir: no identity in {shown}: run `sallyport-worker enrol` first"
            ));
        }
        let socket = &self.engine.socket;
        let shown = socket.display();
        match std::fs::metadata(socket) {
            Ok(found) if found.file_type().is_socket() => {}
            Ok(_) => faults.push(format!("[engine] socket: {shown} is not a socket")),
            Err(error) => faults.push(format!(
                "[engine] socket: {shown}: {error}; does `sallyport-worker engine` run?"
            )),
        }
        faults
    }
}

/// A folder of our own that nobody else can look into.
fn private_folder(key: &str, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let found = std::fs::metadata(path).map_err(|error| format!("{key}: {shown}: {error}"))?;
    let mode = found.mode() & 0o777;
    if !found.is_dir() {
        Err(format!("{key}: {shown} is not a folder"))
    } else if mode & 0o077 != 0 {
        Err(format!(
            "{key}: mode {mode:03o} lets others in; run `chmod 700 {shown}`"
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

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Far larger than any configuration.
    #[error("{} is larger than {CONFIG_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file does not say what is wanted; the text names line and column.
    #[error("{}: {text}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        text: String,
    },
    /// A variable of the environment does not say what is wanted.
    #[error("environment ({names}) over {}: {text}", path.display())]
    Environment {
        /// The variables that were laid over the file.
        names: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
}

/// Reads the file and lays the environment over it.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(read)?.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let variables: Vec<(String, String)> = std::env::vars()
        .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .collect();
    parse(path, &text, &variables)
}

/// Parses the text of `worker.toml` with these variables over it.
pub fn parse(
    path: &Path,
    text: &str,
    variables: &[(String, String)],
) -> Result<Config, ConfigError> {
    let file_error = |error: toml::de::Error| ConfigError::File {
        path: path.to_owned(),
        text: error.to_string(),
    };
    if variables.is_empty() {
        return toml::from_str(text).map_err(file_error);
    }
    let mut table: toml::Table = toml::from_str(text).map_err(file_error)?;
    for (name, value) in variables {
        lay_over(&mut table, name, value);
    }
    table.try_into().map_err(|error: toml::de::Error| {
        let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        ConfigError::Environment {
            names: names.join(", "),
            path: path.to_owned(),
            text: error.to_string(),
        }
    })
}

/// `SALLYPORT__WORKER__SLOTS=2`: a number or a boolean where it reads as one, else a text.
fn lay_over(table: &mut toml::Table, name: &str, value: &str) {
    let keys: Vec<String> = name[ENVIRONMENT_PREFIX.len()..]
        .split("__")
        .map(|key| key.to_ascii_lowercase().replace('_', "-"))
        .collect();
    let Some((last, sections)) = keys.split_last() else {
        return;
    };
    let mut at = table;
    for section in sections {
        let entry = at
            .entry(section.clone())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if !entry.is_table() {
            return;
        }
        let toml::Value::Table(inner) = entry else {
            return;
        };
        at = inner;
    }
    let parsed = value
        .parse::<i64>()
        .map(toml::Value::Integer)
        .or_else(|_| value.parse::<bool>().map(toml::Value::Boolean))
        .unwrap_or_else(|_| toml::Value::String(value.to_owned()));
    at.insert(last.clone(), parsed);
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

    fn complaint(text: &str) -> String {
        parse(Path::new("worker.toml"), text, &[])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_plain_file_has_defaults_and_the_environment_stands_over_it() {
        let config = parse(Path::new("worker.toml"), GOOD, &[]).unwrap();
        assert_eq!(config.worker.slots.get(), 1);
        assert_eq!(
            config.orchestrator.url.join("/worker/v1/hello").as_str(),
            "https://127.0.0.1:7443/worker/v1/hello"
        );
        let over = [("SALLYPORT__WORKER__SLOTS".to_owned(), "3".to_owned())];
        let config = parse(Path::new("worker.toml"), GOOD, &over).unwrap();
        assert_eq!(config.worker.slots.get(), 3);
    }

    #[test]
    fn all_that_the_configuration_names_is_looked_at() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (data, socket) = (
            folder.path().join("data"),
            folder.path().join("docker.sock"),
        );
        let text = GOOD
            .replace("/var/lib/sallyport-worker", &data.display().to_string())
            .replace("/run/sallyport/docker.sock", &socket.display().to_string());
        let config = parse(Path::new("worker.toml"), &text, &[]).unwrap();
        let said = config.faults().join("\n");
        assert!(
            said.contains("[worker] data-dir: ") && said.contains("[engine] socket: "),
            "{said}"
        );
        std::fs::create_dir(&data).unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&data, open).unwrap();
        std::fs::write(&socket, "").unwrap();
        let said = config.faults().join("\n");
        assert!(said.contains("mode 755 lets others in"), "{said}");
        assert!(
            said.contains("run `sallyport-worker enrol` first"),
            "{said}"
        );
        assert!(said.contains("is not a socket"), "{said}");
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::create_dir(config.worker.identity_dir()).unwrap();
        std::fs::remove_file(&socket).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(config.faults(), Vec::<String>::new());
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_is_allowed() {
        let unknown = complaint(&GOOD.replace("data-dir", "datadir"));
        assert!(unknown.contains("line 4"), "{unknown}");
        assert!(unknown.contains("data-dir"), "{unknown}");
        let plain = complaint(&GOOD.replace("https:", "http:"));
        assert!(
            plain.contains("line 7") && plain.contains("https only"),
            "{plain}"
        );
        let slots = complaint(&GOOD.replace("[orch", "slots = 0\n[orch"));
        assert!(slots.contains("wanted 1 to 64"), "{slots}");
    }
}
