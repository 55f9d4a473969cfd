//! One running container: attached before it starts, read until it ends.

use super::state::{Ended, SandboxError, Sink, Stream};
use crate::engine::{Engine, EngineError};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures::StreamExt as _;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between the request to end and the end.
const STOP_SECS: i32 = 5;
/// A container ends at about the time at which its output ends.
const END_MAX: Duration = Duration::from_secs(3);

/// A container that runs or has ended.
pub struct Running {
    engine: Engine,
    id: String,
    reader: Option<JoinHandle<Result<(), Error>>>,
    ended: Option<Ended>,
}

impl Running {
    pub(super) async fn start(
        engine: &Engine,
        id: String,
        mut sink: Sink,
    ) -> Result<Self, SandboxError> {
        let docker = engine.docker();
        let options = AttachContainerOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let mut attached = docker
            .attach_container(&id, Some(options))
            .await
            .map_err(|source| EngineError::call("attach to a container", source))?;
        let reader = engine.tasks().spawn(async move {
            while let Some(piece) = attached.output.next().await {
                match piece? {
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        sink(Stream::Out, &message);
                    }
                    LogOutput::StdErr { message } => sink(Stream::Err, &message),
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok(())
        });
        docker
            .start_container(&id, None::<StartContainerOptions>)
            .await
            .map_err(|source| not_started(EngineError::call("start a container", source)))?;
        Ok(Self {
            engine: engine.clone(),
            id,
            reader: Some(reader),
            ended: None,
        })
    }

    /// Waits for its end, all its output taken; output that was cut off is an error. May be given up and
    /// asked again.
    pub async fn wait(&mut self) -> Result<Ended, SandboxError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let mut ends = std::pin::pin!(until_it_ends(&self.engine, &self.id));
        let state = tokio::select! {
            state = &mut ends => state?,
            read = all_read(&mut self.reader) => {
                read?;
                match tokio::time::timeout(END_MAX, &mut ends).await {
                    Ok(state) => state?,
                    // A container's first process is the engine's own and holds its output open to the end:
                    // an output that ends much earlier was cut off, however well the connection was closed.
                    // Asked, for a busy engine may only be late to tell.
                    Err(_) if seen(&self.engine, &self.id).await?.running == Some(true) => {
                        return Err(EngineError::Lost("its output ended before it did").into());
                    }
                    Err(_) => ends.await?,
                }
            }
        };
        all_read(&mut self.reader).await?;
        let ended = Ended {
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed.unwrap_or(false),
        };
        self.ended = Some(ended);
        Ok(ended)
    }

    /// Asks it to end, and ends it when it does not.
    pub async fn end(&mut self) -> Result<Ended, SandboxError> {
        if self.ended.is_none() {
            let options = StopContainerOptionsBuilder::default().t(STOP_SECS).build();
            match self
                .engine
                .docker()
                .stop_container(&self.id, Some(options))
                .await
            {
                Ok(()) => {}
                Err(Error::DockerResponseServerError {
                    status_code: 304 | 404,
                    ..
                }) => {}
                Err(source) => return Err(EngineError::call("end a container", source).into()),
            }
        }
        self.wait().await
    }
}

/// Returns when the container does not run any more.
async fn until_it_ends(engine: &Engine, id: &str) -> Result<ContainerState, EngineError> {
    let docker = engine.docker();
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut waited = std::pin::pin!(docker.wait_container(id, Some(options)));
    match waited.next().await {
        None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => {}
        Some(Err(source)) => return Err(EngineError::call("wait for a container", source)),
    }
    let state = seen(engine, id).await?;
    // A connection that closes says nothing, and a container that runs has exit code 0.
    if state.running != Some(false) {
        return Err(EngineError::Lost("it stopped telling when it ends"));
    }
    Ok(state)
}

/// How the container stands.
async fn seen(engine: &Engine, id: &str) -> Result<ContainerState, EngineError> {
    let inspected = engine
        .docker()
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .map_err(|source| EngineError::call("look at a container", source))?;
    Ok(inspected.state.unwrap_or_default())
}

/// Returns when everything that the container printed was taken. May be given up and asked again.
async fn all_read(reader: &mut Option<JoinHandle<Result<(), Error>>>) -> Result<(), EngineError> {
    let Some(reading) = reader else {
        return Ok(());
    };
    let read = reading.await;
    *reader = None;
    match read {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(EngineError::call("read what a container prints", source)),
        Err(_) => Err(EngineError::Lost("its output was not read")),
    }
}

/// Whose fault it is that a container was not made or started: the engine refuses what the image and the
/// step ask for, or it is in trouble itself.
pub(super) fn not_started(error: EngineError) -> SandboxError {
    match error.answered() {
        Some((status, words)) if is_asked_for(status, words) => {
            SandboxError::NotStarted(words.to_owned())
        }
        _ => error.into(),
    }
}

fn is_asked_for(status: u16, words: &str) -> bool {
    // The runtime's words about a program, a folder or a mount point that the image does not have.
    const OF_THE_IMAGE: [&str; 5] = [
        "no such file or directory",
        "not a directory",
        "permission denied",
        "read-only file system",
        "executable file not found",
    ];
    status == 400
        || words.contains("OCI runtime create failed")
            && OF_THE_IMAGE.iter().any(|word| words.contains(word))
}
