//! `sallyport.toml`: one file for the server; environment `SALLYPORT__SECTION__KEY` over it
//! (DECISIONS 12). Secrets are never in it: it names files, commands or variables.

use contract::image::ImageRef;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A push of many commits fits.
const HOOK_BYTES_MAX_DEFAULT: usize = 1 << 20;
/// GitHub's own limit, and the most that the setting allows: a body is held in memory.
const HOOK_BYTES_MAX_EVER: usize = 25 << 20;

/// The server's configuration, read and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[worker]`: the entrance for workers.
    pub worker: WorkerEntrance,
    /// `[database]`
    #[serde(default)]
    pub database: Database,
    /// `[signer]`
    pub signer: Signer,
    /// `[registry]`
    pub registry: Registry,
    /// `[tools]`: the images that `analyze` and `scan` use.
    #[serde(default)]
    pub tools: Tools,
    /// `[master-key]`
    pub master_key: MasterKey,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Server {
    /// How people and forges reach this instance: `https://pipeline.example`, or
    /// `http://localhost:<port>`.
    pub public_url: String,
    /// Where pages, API, hooks and `/registry/token` listen.
    pub listen: SocketAddr,
    /// Database, blobs, mirrors, keys.
    pub data_dir: PathBuf,
    /// The longest body of a delivery: 1 MiB, by setting up to 25 MiB (DECISIONS 23).
    #[serde(default = "hook_bytes_max")]
    pub hook_bytes_max: usize,
    /// Whether `/metrics` is at this entrance too, for who may see everything.
    #[serde(default)]
    pub metrics: bool,
}

fn hook_bytes_max() -> usize {
    HOOK_BYTES_MAX_DEFAULT
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkerEntrance {
    /// Where `/worker/v1` listens, with TLS under our CA.
    pub listen: SocketAddr,
    /// Names and addresses in the entrance's certificate.
    #[serde(default = "localhost")]
    pub names: Vec<String>,
}

fn localhost() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

/// `[database]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Database {
    /// `postgres://…`; without it `data_dir/sallyport.db`. May hold a password: prefer `url-file`.
    pub url: Option<String>,
    /// A file that holds the address.
    pub url_file: Option<PathBuf>,
}

/// An address may hold a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url_file", &self.url_file)
            .finish_non_exhaustive()
    }
}

/// `[signer]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signer {
    /// The signer's Unix socket.
    pub socket: PathBuf,
    /// The uid that the signer runs under; another peer is refused.
    pub uid: u32,
}

/// `[registry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// `host[:port]`, the same for orchestrator, worker, engine and people (DECISIONS 27).
    pub name: String,
    /// Plain http; only for a registry on this host's loopback.
    #[serde(default)]
    pub plain_http: bool,
    /// Further CA certificates for a registry with one of its own, PEM.
    pub ca_file: Option<PathBuf>,
}

/// `[tools]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tools {
    /// Analyses Dockerfiles.
    pub hadolint: Option<ImageRef>,
    /// Finds leaked secrets.
    pub gitleaks: Option<ImageRef>,
    /// Makes SBOMs.
    pub syft: Option<ImageRef>,
}

/// `[master-key]`: exactly one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MasterKey {
    /// A file with 32 random bytes in hex, readable by this user alone.
    pub file: Option<PathBuf>,
    /// A command that prints it.
    pub command: Option<Vec<String>>,
    /// An environment variable that holds it.
    pub env: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// `human` or `json`.
    #[serde(default)]
    pub format: crate::telemetry::Format,
}

/// What is wrong with a configuration; names the file and line, or the variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something wrong.
    #[error("{path}: {problem}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// With line, column and what is allowed.
        problem: String,
    },
    /// A variable says something wrong.
    #[error("environment {name}: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Each line is right, together they are not.
    #[error("{path}: [{section}] {key}: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
}

/// Reads a configuration file of one of our programs: TOML with unknown keys refused, then
/// `<prefix>__SECTION__KEY` of the environment over it.
pub fn read<T: serde::de::DeserializeOwned>(
    path: &Path,
    prefix: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |error: toml::de::Error| ConfigError::Wrong {
        path: path.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    };
    let lead = format!("{prefix}__");
    let over: Vec<(String, String)> = environment
        .filter(|(name, _)| name.starts_with(&lead))
        .collect();
    if over.is_empty() {
        return toml::from_str(&text).map_err(wrong);
    }
    let mut table: toml::Table = toml::from_str(&text).map_err(wrong)?;
    for (name, value) in &over {
        set(&mut table, name, &name[lead.len()..], value)?;
    }
    // The position is lost once merged, so a file that is wrong by itself is told from a variable.
    toml::Value::Table(table).try_into().map_err(|merged| {
        let mut names: Vec<&str> = over.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match toml::from_str::<T>(&text) {
            Ok(_) => ConfigError::Variable {
                name: names.join(", "),
                problem: merged.to_string(),
            },
            Err(error) => wrong(error),
        }
    })
}

/// `SERVER__PUBLIC_URL` is `[server] public-url`. A value that reads as TOML (a number, a list) is
/// taken as such, anything else as text.
fn set(table: &mut toml::Table, name: &str, path: &str, value: &str) -> Result<(), ConfigError> {
    let wrong = |problem: &str| ConfigError::Variable {
        name: name.to_owned(),
        problem: problem.to_owned(),
    };
    let (section, key) = path
        .split_once("__")
        .ok_or_else(|| wrong("wanted SECTION__KEY"))?;
    let kebab = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section = table
        .entry(kebab(section))
        .or_insert_with(|| toml::Table::new().into());
    let section = section
        .as_table_mut()
        .ok_or_else(|| wrong("is not a section"))?;
    section.insert(kebab(key), value);
    Ok(())
}

impl Config {
    /// Reads and checks the server's configuration.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = read(path, "SALLYPORT", std::env::vars())?;
        config.check(path)?;
        Ok(config)
    }

    /// The database's address.
    pub fn database_url(&self) -> Result<String, ConfigError> {
        match (&self.database.url, &self.database.url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|source| ConfigError::Read {
                    path: path.clone(),
                    source,
                }),
            (None, None) => Ok(format!(
                "sqlite:{}",
                self.server.data_dir.join("sallyport.db").display()
            )),
        }
    }

    /// Whether cookies and WebAuthn are under https.
    pub fn is_https(&self) -> bool {
        self.server.public_url.starts_with("https://")
    }

    /// The host with its port, as requests name it.
    pub fn public_host(&self) -> &str {
        let url = &self.server.public_url;
        url.split_once("://").map_or(url.as_str(), |(_, rest)| rest)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |section, key, problem: &str| {
            Err(ConfigError::Value {
                path: path.to_owned(),
                section,
                key,
                problem: problem.to_owned(),
            })
        };
        let host = self.public_host();
        let host_only = host.split(':').next().unwrap_or(host);
        if host.is_empty() || host.contains('/') {
            return wrong(
                "server",
                "public-url",
                "wanted `https://host[:port]` with nothing after it",
            );
        }
        if !self.is_https() && host_only != "localhost" {
            return wrong(
                "server",
                "public-url",
                "plain http is only for `http://localhost[:port]`: session cookies need https",
            );
        }
        if host_only.parse::<std::net::IpAddr>().is_ok() {
            return wrong(
                "server",
                "public-url",
                "wanted a name, not an address: passkeys are bound to a name",
            );
        }
        if self.registry.plain_http
            && !self.registry.name.starts_with("127.")
            && !self.registry.name.starts_with("localhost")
        {
            return wrong(
                "registry",
                "plain-http",
                "only for a registry on 127.0.0.0/8: tokens would cross the network in clear",
            );
        }
        let hook_bytes = 1_024..=HOOK_BYTES_MAX_EVER;
        if !hook_bytes.contains(&self.server.hook_bytes_max) {
            return wrong(
                "server",
                "hook-bytes-max",
                "wanted 1024 to 26214400 bytes (25 MiB)",
            );
        }
        if self.database.url.is_some() && self.database.url_file.is_some() {
            return wrong("database", "url", "give `url` or `url-file`, not both");
        }
        let given = [
            self.master_key.file.is_some(),
            self.master_key.command.is_some(),
            self.master_key.env.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return wrong(
                "master-key",
                "file",
                "give exactly one of `file`, `command`, `env`",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[server]
public-url = "http://localhost:7420"
listen = "127.0.0.1:7420"
data-dir = "/var/lib/sallyport"
[worker]
listen = "127.0.0.1:7421"
[signer]
socket = "/run/sallyport/signer.sock"
uid = 990
[registry]
name = "127.0.0.1:5000"
plain-http = true
[master-key]
file = "/etc/sallyport/master.key"
"#;

    fn read_text(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sallyport.toml");
        std::fs::write(&path, text).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let config: Config = read(&path, "SALLYPORT", env)?;
        config.check(&path)?;
        Ok(config)
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let config = read_text(
            GOOD,
            &[("SALLYPORT__SERVER__LISTEN", "127.0.0.1:9"), ("OTHER", "x")],
        )
        .unwrap();
        assert_eq!(config.server.listen.port(), 9);
        assert_eq!(config.signer.uid, 990);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_is_allowed() {
        let text = GOOD.replace("data-dir", "datadir");
        let error = read_text(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("line 5"), "{error}");
        assert!(
            error.contains("unknown field `datadir`, expected one of"),
            "{error}"
        );
        let error = read_text(GOOD, &[("SALLYPORT__SERVER__PORT", "1")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("SALLYPORT__SERVER__PORT"), "{error}");
    }

    #[test]
    fn plain_http_is_for_localhost_only() {
        for url in [
            "http://pipeline.example",
            "http://127.0.0.1:7420",
            "https://a.example/x",
        ] {
            let text = GOOD.replace("http://localhost:7420", url);
            assert!(read_text(&text, &[]).is_err(), "{url}");
        }
    }
}
