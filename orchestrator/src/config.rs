//! `sallyport.toml`: one file for the server; environment `SALLYPORT__SECTION__KEY` over it, `--set` over
//! both (DECISIONS 12). Secrets are never in it: it names files, commands or variables.

pub use contract::configuration::{ConfigError, Fault, Origins, Place};

use crate::network::Network;
use contract::configuration::{self, CONFIG_BYTES_MAX, Over};
use contract::image::{ImageRef, Repository};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// `[source]`: how repositories are fetched.
    #[serde(default)]
    pub source: Source,
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
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Database, blobs, mirrors, keys.
    pub data_dir: PathBuf,
    /// The longest body of a delivery: 1 MiB, by setting up to 25 MiB (DECISIONS 23).
    #[serde(default = "hook_bytes_max")]
    pub hook_bytes_max: usize,
    /// Whether `/metrics` is at this entrance too, for who may see everything.
    #[serde(default)]
    pub metrics: bool,
    /// Proxies of ours, as addresses or networks (`["10.0.0.0/8"]`): whom they name in
    /// `X-Forwarded-For` is who asks. From anybody else the header is not believed.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
}

/// An address to listen at. A name may stand for several, so it is none.
fn address<'de, D: Deserializer<'de>>(value: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(value)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is no address with a port: wanted one like `127.0.0.1:7420`, `0.0.0.0:7420` or `[::1]:7420`"
        ))
    })
}

fn hook_bytes_max() -> usize {
    HOOK_BYTES_MAX_DEFAULT
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkerEntrance {
    /// Where `/worker/v1` listens, with TLS under our CA.
    #[serde(deserialize_with = "address")]
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

/// `[source]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// Names and passwords for https, as git-credential-store(1) keeps them: a line
    /// `https://<name>:<token>@<host>` each. Only read.
    pub credentials_file: Option<PathBuf>,
    /// The CA certificates of a forge with one of its own, PEM; they stand in for the system's.
    pub ca_file: Option<PathBuf>,
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
    /// Without a byte for so long it counts as down, however long the whole takes.
    #[serde(default = "registry_timeout_secs")]
    pub timeout_secs: u64,
}

/// Storage behind a registry may take some seconds before it gives the first byte.
fn registry_timeout_secs() -> u64 {
    30
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

impl Config {
    /// Reads and checks the server's configuration.
    pub fn load(place: &Place) -> Result<Self, ConfigError> {
        Self::load_whole(place).map(|(config, _)| config)
    }

    /// As [`Config::load`], with where each value came from.
    pub fn load_whole(place: &Place) -> Result<(Self, Origins), ConfigError> {
        Self::load_with(place, environment())
    }

    fn load_with(
        place: &Place,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Origins), ConfigError> {
        let (config, origins): (Self, _) = read(place, "SALLYPORT", environment)?;
        let faults = config.faults();
        if faults.is_empty() {
            return Ok((config, origins));
        }
        Err(ConfigError(origins.blame(&faults)))
    }

    /// The database's address.
    pub fn database_url(&self) -> Result<String, ConfigError> {
        match (&self.database.url, &self.database.url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| {
                    let path = path.display();
                    ConfigError(vec![format!(
                        "[database] url-file: cannot read {path}: {error}"
                    )])
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

    /// What each line alone does not show: every fault, not just the first.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut wrong = |section, key, problem: &str| {
            faults.push(Fault {
                section,
                key,
                problem: problem.to_owned(),
            });
        };
        let host = self.public_host();
        let host_only = host.split(':').next().unwrap_or(host);
        let web = ["https://", "http://"];
        let is_web = web
            .iter()
            .any(|scheme| self.server.public_url.starts_with(scheme));
        if !is_web || host_only.is_empty() || host.contains(['/', '?', '#', '@']) {
            let wanted = "wanted `https://host[:port]` with nothing after it";
            wrong("server", "public-url", wanted);
        } else if host_only.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
            let wanted = "wanted a name, not an address: passkeys are bound to a name";
            wrong("server", "public-url", wanted);
        } else if !self.is_https() && host_only != "localhost" {
            let wanted =
                "plain http is only for `http://localhost[:port]`: session cookies need https";
            wrong("server", "public-url", wanted);
        }
        if self.registry.plain_http && !is_loopback(&self.registry.name) {
            let wanted =
                "only for a registry on 127.0.0.0/8: tokens would cross the network in clear";
            wrong("registry", "plain-http", wanted);
        }
        let hook_bytes = 1_024..=HOOK_BYTES_MAX_EVER;
        if !hook_bytes.contains(&self.server.hook_bytes_max) {
            wrong(
                "server",
                "hook-bytes-max",
                "wanted 1024 to 26214400 bytes (25 MiB)",
            );
        }
        if let Some(problem) = wrong_proxy(&self.server.trusted_proxies) {
            wrong("server", "trusted-proxies", &problem);
        }
        if self.database.url.is_some() && self.database.url_file.is_some() {
            wrong("database", "url", "give `url` or `url-file`, not both");
        } else if let Some(Err(problem)) = self.database.url.as_deref().map(known_database) {
            wrong("database", "url", problem);
        }
        if !is_registry_name(&self.registry.name) {
            let wanted = "wanted `host[:port]` as images name it, with nothing before or after it";
            wrong("registry", "name", wanted);
        }
        if self.registry.timeout_secs == 0 {
            let wanted = "wanted 1 or more: with none the registry is always down";
            wrong("registry", "timeout-secs", wanted);
        }
        if are_one(self.server.listen, self.worker.listen) {
            let wanted = "is the address of [server] listen: the two entrances are two";
            wrong("worker", "listen", wanted);
        }
        if self.worker.names.iter().all(|name| name.trim().is_empty()) {
            let wanted =
                "wanted at least one: a worker goes to a name in the entrance's certificate";
            wrong("worker", "names", wanted);
        }
        faults.extend(self.master_key.fault());
        faults
    }
}

impl MasterKey {
    /// Not exactly one of its three ways.
    pub fn fault(&self) -> Option<Fault> {
        let given = [
            self.file.is_some(),
            self.command.is_some(),
            self.env.is_some(),
        ];
        let one = given.iter().filter(|given| **given).count() == 1;
        (!one).then(|| Fault {
            section: "master-key",
            key: "file",
            problem: "give exactly one of `file`, `command`, `env`".to_owned(),
        })
    }
}

/// This process's environment.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    configuration::variables(std::env::vars_os())
}

/// What may not stand in an argument.
const NEVER_FLAGS: &[(&str, &str)] = &[("database", "url")];

/// Reads a configuration of this program, with these variables over the file.
pub fn read<T: DeserializeOwned>(
    place: &Place,
    prefix: &str,
    environment: impl Iterator<Item = (String, String)>,
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
        environment,
        never_flags: NEVER_FLAGS,
    };
    configuration::read(place, &text, over)
}

/// A database that can be opened; its address is not in the words, it may hold a password.
pub fn known_database(url: &str) -> Result<(), &'static str> {
    let schemes = ["postgres://", "postgresql://", "sqlite:"];
    let is_known = schemes.iter().any(|scheme| url.starts_with(scheme));
    is_known.then_some(()).ok_or(
        "wanted `postgres://…`, or nothing at all for a file in `data-dir`: no other database is known",
    )
}

/// `host[:port]`. A name without a dot or a port would be read as part of an image's path.
fn is_registry_name(name: &str) -> bool {
    Repository::parse(&format!("{name}/x")).is_ok_and(|found| found.registry() == name)
}

/// Whether the second cannot be bound beside the first; port 0 is one that the kernel chooses.
fn are_one(first: SocketAddr, second: SocketAddr) -> bool {
    let overlap =
        first.ip() == second.ip() || first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() == second.port() && first.port() != 0 && overlap
}

/// Whether `host[:port]` is this host, whatever a name server says.
fn is_loopback(name: &str) -> bool {
    let host = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => name,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// A network of proxies that holds everybody would let each sender claim any address.
fn wrong_proxy(proxies: &[Network]) -> Option<String> {
    let all = ["0.0.0.0/0", "::/0"].map(Network::parse);
    let network = proxies
        .iter()
        .find(|network| all.contains(&Ok(**network)))?;
    Some(format!(
        "{network} is everybody: each sender could claim any address; name your proxies' own addresses, like `[\"10.0.0.0/8\"]`"
    ))
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

    fn read_text(text: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            path: folder.path().join("sallyport.toml"),
            set: set.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        std::fs::write(&place.path, text).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let folder = format!("{}/", folder.path().display());
        let read = Config::load_with(&place, env).map(|(config, _)| config);
        read.map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn flags_stand_over_the_environment_over_the_file() {
        let env = [("SALLYPORT__SERVER__LISTEN", "127.0.0.1:9"), ("OTHER", "x")];
        assert_eq!(
            read_text(GOOD, &[], &[]).unwrap().server.listen.port(),
            7420
        );
        let config = read_text(GOOD, &env, &[]).unwrap();
        assert_eq!((config.server.listen.port(), config.signer.uid), (9, 990));
        let config =
            read_text(GOOD, &env, &["server.listen=127.0.0.1:10", "signer.uid=7"]).unwrap();
        assert_eq!((config.server.listen.port(), config.signer.uid), (10, 7));
        // A section that the file does not have, and a text that looks like nothing else.
        let config = read_text(GOOD, &[], &["log.format=json"]).unwrap();
        assert_eq!(config.log.format, crate::telemetry::Format::Json);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_line_and_what_is_allowed() {
        let text = GOOD
            .replace("data-dir = ", "datadir = ")
            .replace("127.0.0.1:7421", "nowhere")
            .replace("uid = 990", "uid = \"root\"")
            + "colour = \"blue\"\n";
        let said = read_text(&text, &[], &[]).unwrap_err();
        let line = |part: &str| {
            let found = said.lines().find(|line| line.contains(part));
            found.unwrap_or_else(|| panic!("{part}: {said}")).to_owned()
        };
        assert!(
            line("[server] datadir")
                .starts_with("sallyport.toml, line 5: [server] datadir: unknown field"),
            "{said}"
        );
        assert!(
            line("[server] datadir").contains("expected one of `public-url`"),
            "{said}"
        );
        assert!(
            line("[worker] listen").starts_with("sallyport.toml, line 7: [worker] listen: "),
            "{said}"
        );
        assert!(
            line("[signer] uid").starts_with("sallyport.toml, line 10: [signer] uid: "),
            "{said}"
        );
        assert!(
            line("[master-key] colour")
                .starts_with("sallyport.toml, line 16: [master-key] colour: unknown field"),
            "{said}"
        );
    }

    #[test]
    fn what_the_lines_together_do_not_allow_has_its_line_too() {
        let text = GOOD
            .replace("http://localhost:7420", "http://pipeline.example")
            .replace("\"127.0.0.1:5000\"", "\"registry.example\"")
            + "env = \"KEY\"\n";
        let said =
            read_text(&text, &[("SALLYPORT__SERVER__HOOK_BYTES_MAX", "1")], &[]).unwrap_err();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines[0].starts_with("sallyport.toml, line 3: [server] public-url: plain http"),
            "{said}"
        );
        assert!(
            lines[1].starts_with("sallyport.toml, line 13: [registry] plain-http: only"),
            "{said}"
        );
        assert!(
            lines[2].starts_with("environment SALLYPORT__SERVER__HOOK_BYTES_MAX: wanted 1024"),
            "{said}"
        );
        assert!(
            lines[3].starts_with("sallyport.toml, line 15: [master-key] file: give exactly one"),
            "{said}"
        );
        assert_eq!(lines.len(), 4, "{said}");
    }

    #[test]
    fn the_variable_or_flag_that_is_bad_is_blamed_and_no_other() {
        let env = [
            ("SALLYPORT__SERVER__LISTEN", "127.0.0.1:9"),
            ("SALLYPORT__SIGNER__UID", "root"),
            ("SALLYPORT__SERVER__PORT", "1"),
            ("SALLYPORT__SERVER", "x"),
        ];
        let said = read_text(GOOD, &env, &["worker.listen=there", "colour"]).unwrap_err();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        let starts = [
            "--set colour: wanted section.key=value",
            "--set worker.listen: ",
            "environment SALLYPORT__SERVER: wanted SALLYPORT__SECTION__KEY",
            "environment SALLYPORT__SERVER__PORT: unknown field `port`",
            "environment SALLYPORT__SIGNER__UID: invalid type",
        ];
        assert_eq!(lines.len(), starts.len(), "{said}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}\nwanted {start}");
        }
        for key in [
            "database.url",
            "DATABASE.url",
            "database.URL",
            "Database.Url",
        ] {
            let said = read_text(GOOD, &[], &[&format!("{key}=postgres://a:b@c/d")]).unwrap_err();
            assert!(
                said.starts_with("--set database.url: may hold a password"),
                "{key}: {said}"
            );
            assert!(!said.contains("a:b"), "{said}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_section() {
        let said = read_text(&GOOD.replace("uid = 990\n", ""), &[], &[]).unwrap_err();
        assert_eq!(
            said,
            "sallyport.toml, line 8: [signer]: missing field `uid`"
        );
        let said = read_text(
            &GOOD.replace("[worker]\nlisten = \"127.0.0.1:7421\"\n", ""),
            &[],
            &[],
        );
        let said = said.unwrap_err();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "sallyport.toml: missing field `worker`");
        assert_eq!(lines[1], "sallyport.toml: [worker]: missing field `listen`");
        assert_eq!(lines.len(), 2, "{said}");
        let said = read_text(&format!("colour = 1\n{GOOD}"), &[], &[]).unwrap_err();
        assert!(
            said.starts_with("sallyport.toml, line 1: colour: unknown field `colour`"),
            "{said}"
        );
    }

    #[test]
    fn a_file_that_is_not_toml_or_not_there_is_named() {
        let said = read_text("[server\n", &[], &[]).unwrap_err();
        assert!(
            said.starts_with("sallyport.toml: TOML parse error at line 1"),
            "{said}"
        );
        let place = Place::file("/nowhere/sallyport.toml");
        let read = Config::load_with(&place, std::iter::empty());
        let said = read.err().unwrap().to_string();
        assert!(
            said.starts_with("cannot read /nowhere/sallyport.toml: "),
            "{said}"
        );
    }

    #[test]
    fn a_registry_speaks_plain_http_on_this_host_only() {
        for name in [
            "127.0.0.1:5000",
            "127.8.9.1",
            "localhost:5000",
            "localhost",
            "[::1]:5000",
        ] {
            assert!(is_loopback(name), "{name}");
        }
        for name in [
            "127.evil.example",
            "127.0.0.1.evil.example:5000",
            "localhost.evil.example",
            "localhost:evil.example",
            "10.0.0.1:5000",
            "",
        ] {
            assert!(!is_loopback(name), "{name}");
            let text = GOOD.replace("127.0.0.1:5000", name);
            assert!(read_text(&text, &[], &[]).is_err(), "{name}");
        }
    }

    #[test]
    fn what_no_server_could_run_with_is_said_with_what_is_allowed() {
        let said = |from: &str, to: &str| {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            read_text(&text, &[], &[]).err().unwrap_or_default()
        };
        let signer = "[signer]";
        for (from, to, wanted) in [
            (
                signer,
                "[database]\nurl = \"mysql://a:b@c/d\"\n[signer]",
                "[database] url: wanted `postgres://…`",
            ),
            (
                "127.0.0.1:5000",
                "https://registry.example",
                "[registry] name: wanted `host[:port]`",
            ),
            (
                "127.0.0.1:5000",
                "not a registry!",
                "[registry] name: wanted `host[:port]`",
            ),
            (
                "127.0.0.1:5000",
                "registry.example/",
                "[registry] name: wanted `host[:port]`",
            ),
            (
                "127.0.0.1:7421",
                "127.0.0.1:7420",
                "[worker] listen: is the address of [server] listen",
            ),
            (
                "127.0.0.1:7421",
                "0.0.0.0:7420",
                "[worker] listen: is the address of [server] listen",
            ),
            (
                "plain-http = true",
                "plain-http = true\ntimeout-secs = 0",
                "[registry] timeout-secs: wanted 1 or more",
            ),
            (
                signer,
                "names = []\n[signer]",
                "[worker] names: wanted at least one",
            ),
            (
                signer,
                "names = [\" \"]\n[signer]",
                "[worker] names: wanted at least one",
            ),
            (
                "\"127.0.0.1:7420",
                "\"localhost:7420",
                "[server] listen: `localhost:7420` is no address with a port: wanted one like `127.0.0.1:7420`",
            ),
        ] {
            let said = said(from, to);
            assert!(said.contains(wanted), "{to}: {said}");
            assert!(!said.contains("a:b"), "{said}");
        }
        for (from, to) in [
            ("127.0.0.1:7421", "[::1]:7420"),
            ("127.0.0.1:7420\"\n", "127.0.0.1:0\"\n"),
            ("127.0.0.1:5000", "localhost:5000"),
            (signer, "[database]\nurl = \"postgresql://c/d\"\n[signer]"),
        ] {
            assert_eq!(said(from, to), "", "{to}");
        }
    }

    #[test]
    fn proxies_are_networks_and_never_everybody() {
        let with = |value: &str| {
            let text = GOOD.replace("[worker]", &format!("trusted-proxies = {value}\n[worker]"));
            read_text(&text, &[], &[])
        };
        let config = with(r#"["10.0.0.0/8", "::1"]"#).unwrap();
        assert_eq!(config.server.trusted_proxies.len(), 2);
        assert!(
            read_text(GOOD, &[], &[])
                .unwrap()
                .server
                .trusted_proxies
                .is_empty()
        );
        let error = with(r#"["ten"]"#).unwrap_err().to_string();
        assert!(
            error.contains("\"ten\" is no address and no network"),
            "{error}"
        );
        let error = with(r#"["0.0.0.0/0"]"#).unwrap_err().to_string();
        assert!(
            error.contains("[server] trusted-proxies: 0.0.0.0/0 is everybody"),
            "{error}"
        );
        let over = [("SALLYPORT__SERVER__TRUSTED_PROXIES", r#"["10.1.0.0/16"]"#)];
        let config = read_text(GOOD, &over, &[]).unwrap();
        assert_eq!(config.server.trusted_proxies[0].to_string(), "10.1.0.0/16");
    }

    #[test]
    fn plain_http_is_for_localhost_only() {
        for url in [
            "http://pipeline.example",
            "http://127.0.0.1:7420",
            "http://localhost.evil.example",
            "https://a.example/x",
            "https://u@a.example",
            "ftp://a.example",
            "https://",
        ] {
            let text = GOOD.replace("http://localhost:7420", url);
            assert!(read_text(&text, &[], &[]).is_err(), "{url}");
        }
        let far = GOOD.replace("\"127.0.0.1:5000\"", "\"127.evil.example\"");
        assert!(
            read_text(&far, &[], &[]).is_err(),
            "a name that looks like an address"
        );
    }
}
