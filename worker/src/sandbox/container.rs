//! One running container: attached before it starts, read until it ends.

use super::state::{Ended, SandboxError, Sink, Stream};
use crate::engine::{Engine, EngineError};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures::StreamExt as _;
use tokio::task::JoinHandle;

/// Between the request to end and the end.
const STOP_SECS: i32 = 5;

/// A container that runs or has ended.
pub struct Running {
    engine: Engine,
    id: String,
    reader: Option<JoinHandle<()>>,
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
            while let Some(Ok(piece)) = attached.output.next().await {
                match piece {
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        sink(Stream::Out, &message);
                    }
                    LogOutput::StdErr { message } => sink(Stream::Err, &message),
                    LogOutput::StdIn { .. } => {}
                }
            }
        });
        docker
            .start_container(&id, None::<StartContainerOptions>)
            .await
            .map_err(|source| EngineError::call("start a container", source))?;
        Ok(Self {
            engine: engine.clone(),
            id,
            reader: Some(reader),
            ended: None,
        })
    }

    /// Waits for its end, all its output taken. May be given up and asked again.
    pub async fn wait(&mut self) -> Result<Ended, SandboxError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let docker = self.engine.docker();
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let mut waited = std::pin::pin!(docker.wait_container(&self.id, Some(options)));
        match waited.next().await {
            None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => {}
            Some(Err(source)) => {
                return Err(EngineError::call("wait for a container", source).into());
            }
        }
        if let Some(reader) = &mut self.reader {
            // A reader that panicked has nothing more to say; the container's end is known anyway.
            let _ = reader.await;
            self.reader = None;
        }
        let state = docker
            .inspect_container(&self.id, None::<InspectContainerOptions>)
            .await
            .map_err(|source| EngineError::call("look at a container", source))?
            .state
            .unwrap_or_default();
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
