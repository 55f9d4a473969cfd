//! The containers of one step that share a networkless namespace and a work area.

use super::container::{Running, not_started};
use super::owned::give_to_step;
use super::policy::{self, Place};
use super::state::{Container, STEP_USER, SandboxError, Sink};
use crate::engine::{Engine, EngineError, POD_LABEL, PodName};
use bollard::exec::StartExecOptions;
use bollard::models::{ExecConfig, ExecInspectResponse};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, InspectContainerOptions,
    StartContainerOptions, UploadToContainerOptionsBuilder,
};
use contract::name::Name;
use contract::protocol::{ReadyProbe, Resources};
use futures::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// What a pod is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpec {
    /// Where its input goes: a folder in its work area, `/work/…`.
    pub folder: &'static str,
    /// The names by which its containers meet.
    pub hosts: Vec<Name>,
    /// What they may use together.
    pub resources: Resources,
}

/// A pod. It is removed by its name, see [`Engine::sweep_pod`].
pub struct Pod {
    engine: Engine,
    name: PodName,
    holder: String,
    volume: String,
    cgroup: Option<String>,
    /// What one of its containers may use.
    resources: Resources,
    folder: &'static str,
    work_bytes: u64,
    labels: HashMap<String, String>,
}

impl Pod {
    /// Makes the namespace and the work area. What was made before an error is known by the name.
    pub async fn create(
        engine: &Engine,
        name: PodName,
        spec: &PodSpec,
    ) -> Result<Self, SandboxError> {
        let docker = engine.docker();
        let mut labels = engine.labels();
        labels.insert(POD_LABEL.to_owned(), name.to_string());
        let image = engine.pod_image().await?;
        let cgroup = engine
            .make_pod(&name, &policy::together(&spec.resources))
            .await
            .map_err(too_much)?;
        let resources = match cgroup {
            Some(_) => spec.resources.clone(),
            // Those that are named, and the step's own.
            None => policy::apart(&spec.resources, spec.hosts.len() as u64 + 1),
        };
        let volume = policy::work_area("", &spec.resources, &labels);
        let volume = docker
            .create_volume(bollard::models::VolumeCreateRequest {
                name: None,
                ..volume
            })
            .await
            .map_err(|source| EngineError::call("make the work area", source))?
            .name;
        let body = policy::holder(&image, &volume, &spec.hosts, cgroup.as_deref(), &labels);
        let holder = create(engine, body).await?;
        docker
            .start_container(&holder, None::<StartContainerOptions>)
            .await
            .map_err(|source| EngineError::call("start the pod", source))?;
        let pod = Self {
            engine: engine.clone(),
            name,
            holder,
            volume,
            cgroup,
            resources,
            folder: spec.folder,
            work_bytes: spec.resources.work_bytes,
            labels,
        };
        let folders = bytes::Bytes::from(folder_tar(spec.folder)?);
        let folders = futures::stream::iter([Ok(folders)]);
        pod.upload("/work", folders).await?;
        Ok(pod)
    }

    /// Whether it still holds what its containers will share: an engine that restarted holds nothing.
    pub async fn is_well(&self) -> bool {
        let seen = self
            .engine
            .docker()
            .inspect_container(&self.holder, None::<InspectContainerOptions>)
            .await;
        let state = seen.ok().and_then(|seen| seen.state);
        state.and_then(|state| state.running) == Some(true)
    }

    /// Its name.
    pub fn name(&self) -> &PodName {
        &self.name
    }

    /// Unpacks a tar into the pod's folder, everything the step user's.
    pub async fn put_file(&self, archive: &Path) -> Result<(), SandboxError> {
        let owned = archive.with_extension("owned.tar");
        let (from, to) = (archive.to_owned(), owned.clone());
        tokio::task::spawn_blocking(move || {
            let from = std::io::BufReader::new(std::fs::File::open(from)?);
            give_to_step(from, std::io::BufWriter::new(std::fs::File::create(to)?))
        })
        .await
        .map_err(std::io::Error::other)
        .and_then(|given| given)
        .map_err(|source| EngineError::file("fill the work area", source))?;
        let file = tokio::fs::File::open(&owned)
            .await
            .map_err(|source| EngineError::file("fill the work area", source))?;
        let body = tokio_util::io::ReaderStream::with_capacity(file, 128 * 1024);
        self.upload(self.folder, body).await?;
        // Only disk space is at stake: the lease's folder goes as a whole.
        let _ = tokio::fs::remove_file(&owned).await;
        Ok(())
    }

    /// Writes a folder of the work area into a file, as a tar, at most `limit` bytes.
    pub async fn take_file(
        &self,
        folder: &str,
        into: &Path,
        limit: u64,
    ) -> Result<(), SandboxError> {
        let file = |source| EngineError::file("read the work area", source);
        let mut out = tokio::fs::File::create(into).await.map_err(file)?;
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(folder)
            .build();
        let mut stream = std::pin::pin!(
            self.engine
                .docker()
                .download_from_container(&self.holder, Some(options))
        );
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|source| {
                let error = EngineError::call("read the work area", source);
                match error.answered() {
                    Some((404, _)) => SandboxError::Gone(folder.to_owned()),
                    _ => error.into(),
                }
            })?;
            length += piece.len() as u64;
            if length > limit {
                return Err(SandboxError::TooMuch(limit));
            }
            out.write_all(&piece).await.map_err(file)?;
        }
        out.flush().await.map_err(file)?;
        Ok(())
    }

    /// Starts a container in the pod; what it prints goes into `sink` from its first byte on.
    pub async fn start(&self, wish: Container, sink: Sink) -> Result<Running, SandboxError> {
        let own = self.engine.image_start(&wish.image).await?.volumes;
        let body = policy::container(&wish, &own, self.place())?;
        let id = create(&self.engine, body).await?;
        Running::start(&self.engine, id, sink).await
    }

    /// Returns when the question is answered with yes; asks for ever.
    pub async fn until_ready(
        &self,
        probe: &ReadyProbe,
        every: Duration,
    ) -> Result<(), SandboxError> {
        let command = question(probe)?;
        loop {
            // The program asks until it is answered; only a pod that is not well lets it end so.
            if self.exec(&command).await? == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Removes the pod with everything in it.
    pub async fn remove(self) -> Result<(), SandboxError> {
        Ok(self.engine.sweep_pod(&self.name).await?)
    }

    async fn exec(&self, command: &[String]) -> Result<Option<i64>, SandboxError> {
        let docker = self.engine.docker();
        let failed = |source| EngineError::call("ask for readiness", source);
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            user: Some(format!("{STEP_USER}:{STEP_USER}")),
            privileged: Some(false),
            ..ExecConfig::default()
        };
        let exec = docker
            .create_exec(&self.holder, config)
            .await
            .map_err(failed)?
            .id;
        let started = docker
            .start_exec(&exec, None::<StartExecOptions>)
            .await
            .map_err(failed)?;
        if let bollard::exec::StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                piece.map_err(failed)?;
            }
        }
        let ExecInspectResponse { exit_code, .. } =
            docker.inspect_exec(&exec).await.map_err(failed)?;
        Ok(exit_code)
    }

    async fn upload(
        &self,
        folder: &str,
        tar: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static,
    ) -> Result<(), SandboxError> {
        let options = UploadToContainerOptionsBuilder::default()
            .path(folder)
            .build();
        self.engine
            .docker()
            .upload_to_container(&self.holder, Some(options), bollard::body_try_stream(tar))
            .await
            .map_err(|source| {
                let error = EngineError::call("fill the work area", source);
                match error.answered() {
                    Some((_, words)) if words.contains("no space left on device") => {
                        SandboxError::Full(self.work_bytes)
                    }
                    _ => error.into(),
                }
            })
    }

    /// Where a container of this pod goes.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            holder: &self.holder,
            volume: &self.volume,
            cgroup: self.cgroup.as_deref(),
            resources: &self.resources,
            labels: &self.labels,
        }
    }
}

/// A step that asks for more than the engine has would get as little the next time.
fn too_much(error: EngineError) -> SandboxError {
    if let EngineError::TooMuch(what) = error {
        SandboxError::NotAllowed(what)
    } else {
        error.into()
    }
}

pub(super) async fn create(
    engine: &Engine,
    body: bollard::models::ContainerCreateBody,
) -> Result<String, SandboxError> {
    let options = CreateContainerOptionsBuilder::default().build();
    let created = engine
        .docker()
        .create_container(Some(options), body)
        .await
        .map_err(|source| not_started(EngineError::call("make a container", source)))?;
    Ok(created.id)
}

/// A tar with the folders down to `folder` below `/work`, the step user's.
fn folder_tar(folder: &str) -> Result<Vec<u8>, SandboxError> {
    let below = folder
        .strip_prefix("/work/")
        .ok_or_else(|| SandboxError::NotAllowed(format!("{folder} is not in the work area")))?;
    let mut out = tar::Builder::new(Vec::new());
    let mut path = String::new();
    let mut append = |path: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_uid(u64::from(STEP_USER));
        header.set_gid(u64::from(STEP_USER));
        header.set_size(0);
        out.append_data(&mut header, path, std::io::empty())
    };
    for part in below.split('/') {
        path.push_str(part);
        append(&path).map_err(|source| EngineError::file("fill the work area", source))?;
        path.push('/');
    }
    let tar = out.into_inner();
    Ok(tar.map_err(|source| EngineError::file("fill the work area", source))?)
}

/// The pod program's words for a question.
fn question(probe: &ReadyProbe) -> Result<Vec<String>, SandboxError> {
    let strange = |text: &str| {
        SandboxError::NotAllowed(format!(
            "{text} as a readiness question: wanted http://<name>:<port>/<path>"
        ))
    };
    let words = match probe {
        ReadyProbe::Tcp { port } => vec!["ready-tcp".to_owned(), port.to_string()],
        ReadyProbe::Http { url } => {
            let parsed = reqwest::Url::parse(url).map_err(|_| strange(url))?;
            let host = parsed.host_str().filter(|_| parsed.scheme() == "http");
            let (Some(host), Some(port)) = (host, parsed.port_or_known_default()) else {
                return Err(strange(url));
            };
            let query = parsed.query().map(|q| format!("?{q}")).unwrap_or_default();
            vec![
                "ready-http".to_owned(),
                host.to_owned(),
                port.to_string(),
                format!("{}{query}", parsed.path()),
            ]
        }
        ReadyProbe::Unsupported => return Err(strange("an unknown kind")),
    };
    let mut command = vec!["/sallyport-pod".to_owned()];
    command.extend(words);
    Ok(command)
}
