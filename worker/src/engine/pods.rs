//! Asks the engine's own process for a pod's cgroup: what all its containers may use together.

use super::client::Engine;
use super::state::EngineError;
use crate::step::chain;
use contract::protocol::Resources;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Beside the socket of an engine that `sallyport-worker engine` runs.
pub const PODS_SOCKET: &str = "pods.sock";
/// How often an agent says that it lives.
pub const HERE_EVERY: Duration = Duration::from_secs(60);
/// It answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer is one line.
const ANSWER_BYTES_MAX: u64 = 4096;

/// By this name everything of one pod is known: containers, work area, cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName(String);

impl fmt::Display for PodName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Engine {
    /// A name that no other pod has: what an earlier process of this worker made is swept before.
    pub fn name_pod(&self) -> PodName {
        PodName(format!("{}-{}", self.owner(), self.next_pod()))
    }

    /// A cgroup with these limits; none where somebody else's engine is used, which makes none for us.
    pub async fn make_pod(
        &self,
        name: &PodName,
        limits: &Resources,
    ) -> Result<Option<String>, EngineError> {
        let line = format!(
            "make {name} {} {} {}\n",
            limits.memory_bytes, limits.cpu_milli, limits.pids
        );
        self.ask_for_pod(&line).await
    }

    /// Takes a pod's cgroup away.
    pub(super) async fn remove_pod(&self, name: &PodName) -> Result<(), EngineError> {
        self.ask_for_pod(&format!("remove {name}\n"))
            .await
            .map(drop)
    }

    /// Takes away what an earlier process left.
    pub(super) async fn clear_pods(&self) -> Result<(), EngineError> {
        self.ask_for_pod(&format!("clear {}\n", self.owner()))
            .await
            .map(drop)
    }

    /// Says again and again that this agent lives, or what runs in its pods would be ended.
    pub async fn stay(&self) {
        let mut every = tokio::time::interval(HERE_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = self.ask_for_pod(&format!("here {}\n", self.owner())).await {
                tracing::warn!(
                    error = chain(&error),
                    "the engine's process was not told that this agent lives"
                );
            }
        }
    }

    async fn ask_for_pod(&self, line: &str) -> Result<Option<String>, EngineError> {
        if !self.is_our_own() {
            return Ok(None);
        }
        let asked = tokio::time::timeout(PATIENCE, asked(self.pods_socket(), line)).await;
        let said = asked
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| EngineError::file("ask for the pod's cgroup", source))?;
        match said.trim_end().split_once(' ') {
            Some(("ok", path)) => Ok(Some(path.to_owned())),
            Some(("more", what)) => Err(EngineError::TooMuch(what.to_owned())),
            Some(("no", why)) => Err(EngineError::Refused(why.to_owned())),
            _ if said.trim_end() == "ok" => Ok(None),
            _ => Err(EngineError::Refused("no answer".to_owned())),
        }
    }
}

async fn asked(path: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(line.as_bytes()).await?;
    let mut said = String::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut said)
        .await?;
    Ok(said)
}
