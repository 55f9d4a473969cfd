//! The connection to the engine and what is known about it.

use super::config::Config;
use super::pods::{PODS_SOCKET, PodName};
use super::state::{BUILT_REGISTRY, EngineError, INSTANCE_LABEL, OWN_LABEL, POD_PROGRAM};
use bollard::Docker;
use bollard::query_parameters::{CreateImageOptionsBuilder, PruneBuildOptionsBuilder};
use contract::digest::Digest;
use contract::image::ImageRef;
use futures::StreamExt as _;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Until an answer begins; uploads of a work area count as well.
const ANSWER_TIMEOUT_SECS: u64 = 600;

/// One container engine. Clones are the same.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    instance: String,
    name: String,
    pods_socket: PathBuf,
    pods_named: Arc<AtomicU64>,
    unswept: Arc<Mutex<Vec<PodName>>>,
    /// By how many steps each is used.
    borrowed: Arc<tokio::sync::Mutex<HashMap<ImageRef, u32>>>,
    registry_timeout: Duration,
    tasks: TaskTracker,
}

impl Engine {
    /// Connects; the id of the instance and the worker's name mark what is ours.
    pub async fn connect(config: &Config, instance: &str, name: &str) -> Result<Self, EngineError> {
        let socket = config.socket.display().to_string();
        let failed = |source| EngineError::Connect {
            socket: socket.clone(),
            source,
        };
        let docker =
            Docker::connect_with_unix(&socket, ANSWER_TIMEOUT_SECS, bollard::API_DEFAULT_VERSION)
                .map_err(failed)?;
        let docker = docker.negotiate_version().await.map_err(failed)?;
        Ok(Self {
            docker,
            instance: instance.to_owned(),
            name: name.to_owned(),
            pods_socket: config.socket.with_file_name(PODS_SOCKET),
            pods_named: Arc::default(),
            unswept: Arc::default(),
            borrowed: Arc::default(),
            registry_timeout: Duration::from_secs(config.registry_timeout_secs),
            tasks: TaskTracker::new(),
        })
    }

    /// The engine's own API.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Pods that could not be removed yet.
    pub(super) fn unswept(&self) -> MutexGuard<'_, Vec<PodName>> {
        self.unswept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_pod(&self) -> u64 {
        self.pods_named.fetch_add(1, Ordering::Relaxed)
    }

    /// How long a registry may say nothing.
    pub fn registry_timeout(&self) -> Duration {
        self.registry_timeout
    }

    /// Whether `sallyport-worker engine` runs it, in a network namespace that leads to registries only.
    pub fn is_our_own(&self) -> bool {
        self.pods_socket.exists()
    }

    pub(super) fn pods_socket(&self) -> &Path {
        &self.pods_socket
    }

    pub(super) fn borrowed(&self) -> &tokio::sync::Mutex<HashMap<ImageRef, u32>> {
        &self.borrowed
    }

    /// The local name of an image that is here for one step; it never leaves the engine, and says whose it
    /// is to remove.
    pub fn built_name(&self, tag: &str) -> String {
        format!("{}:{tag}", self.built_repository())
    }

    pub(super) fn built_repository(&self) -> String {
        format!("{BUILT_REGISTRY}/{}", self.owner())
    }

    /// The worker among those of all instances, as a part of names: the id of an instance can be longer than
    /// those may be.
    pub(super) fn owner(&self) -> String {
        let instance = Digest::of(self.instance.as_bytes()).hex();
        format!("{}-{}", &instance[..8], self.name)
    }

    /// What is on everything that is ours.
    pub fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (INSTANCE_LABEL.to_owned(), self.instance.clone()),
            (OWN_LABEL.to_owned(), self.name.clone()),
        ])
    }

    /// Owns what reads containers' output.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// How containers are held apart here, for `builder.id`.
    pub async fn level(&self) -> Result<String, EngineError> {
        let info = self
            .docker
            .info()
            .await
            .map_err(|source| EngineError::call("ask the engine about itself", source))?;
        let options = info.security_options.unwrap_or_default();
        let has = |name: &str| options.iter().any(|option| option.contains(name));
        let runtime = info.default_runtime.unwrap_or_else(|| "runc".to_owned());
        let suffix = if has("name=rootless") {
            "-rootless"
        } else if has("name=userns") {
            "-userns"
        } else {
            ""
        };
        let reach = if self.is_our_own() { "" } else { "-open" };
        Ok(format!("docker-{runtime}{suffix}{reach}"))
    }

    /// The uid and gid that root has inside, as the engine's own host counts them. An engine with
    /// user namespaces says so by the name of its folder, `<uid>.<gid>`.
    pub async fn root_inside(&self) -> Result<(u64, u64), EngineError> {
        let info = self
            .docker
            .info()
            .await
            .map_err(|source| EngineError::call("ask the engine about itself", source))?;
        Ok(owner_of_folder(&info.docker_root_dir.unwrap_or_default()))
    }

    /// The image of the pod's own program, made when it is missing.
    pub async fn pod_image(&self) -> Result<String, EngineError> {
        self.own_image("sallyport-pod.local/pod", Vec::new()).await
    }

    /// The same program in an image that declares a VOLUME, for the self-test.
    pub async fn selftest_image(&self, volume: &str) -> Result<String, EngineError> {
        let changes = vec![format!("VOLUME {volume}")];
        self.own_image("sallyport-pod.local/selftest", changes)
            .await
    }

    async fn own_image(
        &self,
        repository: &str,
        changes: Vec<String>,
    ) -> Result<String, EngineError> {
        let digest = Digest::of(POD_PROGRAM).hex();
        let tag = &digest[..16];
        let name = format!("{repository}:{tag}");
        if self.docker.inspect_image(&name).await.is_ok() {
            return Ok(name);
        }
        let tar =
            pod_tar().map_err(|source| EngineError::file("pack the pod's program", source))?;
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes)
            .build();
        let mut said = std::pin::pin!(self.docker.create_image(
            Some(options),
            Some(bollard::body_full(tar.into())),
            None
        ));
        while let Some(info) = said.next().await {
            info.map_err(|source| EngineError::call("make the pod's image", source))?;
        }
        Ok(name)
    }

    /// Forgets everything that builds left behind, so that none can influence a later one.
    pub async fn prune_builds(&self) {
        let options = PruneBuildOptionsBuilder::default().all(true).build();
        if let Err(error) = self.docker.prune_build(Some(options)).await {
            tracing::warn!(%error, "what builds left behind was not removed");
        }
    }

    /// The label filter for what is ours.
    pub(super) fn own(&self) -> HashMap<String, Vec<String>> {
        let labels = self.labels();
        let labels = labels
            .iter()
            .map(|(label, value)| format!("{label}={value}"));
        HashMap::from([("label".to_owned(), labels.collect())])
    }
}

fn owner_of_folder(folder: &str) -> (u64, u64) {
    let last = folder.trim_end_matches('/').rsplit('/').next();
    last.and_then(|last| last.split_once('.'))
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .unwrap_or((0, 0))
}

/// A file system with nothing but the program, and the folders that are mounted over.
fn pod_tar() -> std::io::Result<Vec<u8>> {
    let mut out = tar::Builder::new(Vec::new());
    // `covered` is everybody's, so that only what covers it could keep the self-test from filling it.
    for (folder, mode) in [("tmp", 0o755), ("work", 0o755), ("covered", 0o1777)] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        out.append_data(&mut header, folder, std::io::empty())?;
    }
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(POD_PROGRAM.len() as u64);
    out.append_data(&mut header, "sallyport-pod", POD_PROGRAM)?;
    out.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_with_user_namespaces_names_its_folder_after_its_root() {
        assert_eq!(
            owner_of_folder("/var/lib/docker/100000.100000"),
            (100_000, 100_000)
        );
        assert_eq!(owner_of_folder("/var/lib/docker"), (0, 0));
        assert_eq!(owner_of_folder("/srv/engine.d/"), (0, 0));
    }
}
