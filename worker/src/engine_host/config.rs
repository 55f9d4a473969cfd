//! `engine.toml`: what the operator says about the engine of this host.

use crate::config::{self, Log};
use contract::configuration::{ConfigError, Place};
use serde::Deserialize;
use std::net::SocketAddrV4;
use std::path::PathBuf;

/// `[engine-host]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The name of its cgroup; one an engine on the host.
    pub cgroup: contract::name::Name,
    /// Images and layers; kept between starts.
    pub data_dir: PathBuf,
    /// Sockets and state; emptied at each start.
    pub run_dir: PathBuf,
    /// The group that may use the engine's socket: the agent's.
    pub group: u32,
    /// Registries that the engine may reach: the same address inside as outside.
    pub registries: Vec<RegistryAddress>,
    /// What everything in the engine may use together, RUN of builds included.
    #[serde(default = "memory_default")]
    pub memory_bytes: u64,
    /// Processes and threads of everything in the engine.
    #[serde(default = "pids_default")]
    pub pids: u64,
    /// CPU time of everything in the engine, in thousandths.
    #[serde(default = "cpu_default")]
    pub cpu_milli: u64,
    /// The storage driver; found out when it is not given.
    pub storage_driver: Option<String>,
}

fn memory_default() -> u64 {
    4 << 30
}

fn pids_default() -> u64 {
    4_096
}

fn cpu_default() -> u64 {
    2_000
}

/// A registry on this host's loopback, `127.x.y.z:port`. Others would need a name that points to a
/// dummy link inside; that is not built yet, and refused rather than pretended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RegistryAddress(SocketAddrV4);

impl RegistryAddress {
    /// The address, the same inside and outside.
    pub fn address(self) -> SocketAddrV4 {
        self.0
    }
}

impl TryFrom<String> for RegistryAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address: SocketAddrV4 = text
            .parse()
            .map_err(|_| format!("registry `{text}`: wanted 127.0.0.1:<port>"))?;
        if !address.ip().is_loopback() || address.port() == 0 {
            return Err(format!(
                "registry `{text}`: only one on this host's loopback is reached so far"
            ));
        }
        Ok(Self(address))
    }
}

impl Config {
    /// The engine's API.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("docker.sock")
    }

    /// Where the agent asks for pods' cgroups: beside the engine's API.
    pub(super) fn pods_socket(&self) -> PathBuf {
        self.run_dir.join(crate::engine::PODS_SOCKET)
    }

    /// The Unix socket by which the inside reaches a registry outside.
    pub(super) fn relay_socket(&self, registry: RegistryAddress) -> PathBuf {
        self.run_dir.join(format!(
            "relay-{}-{}.sock",
            registry.0.ip(),
            registry.0.port()
        ))
    }
}

/// The whole of `engine.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// The engine.
    pub engine_host: Config,
    /// How the log of its process looks.
    #[serde(default)]
    pub log: Log,
}

impl File {
    /// Reads `engine.toml`, `SALLYPORT_ENGINE__SECTION__KEY` over it and `--set` over both.
    pub fn load(place: &Place) -> Result<Self, ConfigError> {
        config::read(place, "SALLYPORT_ENGINE").map(|(file, _)| file)
    }
}
