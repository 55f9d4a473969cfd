//! An image from a context, by the engine's BuildKit, and its push into quarantine.
//!
//! RUN has no network and no cache: two builds cannot influence each other. What the engine itself
//! could reach is its network namespace's business (`engine`).

use crate::engine::{Engine, EngineError};
use crate::spool::Log;
use bollard::auth::DockerCredentials;
use bollard::moby::buildkit::v1::StatusResponse;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{
    BuildImageOptions, BuilderVersion, PushImageOptionsBuilder, TagImageOptionsBuilder,
};
use contract::digest::Digest;
use contract::image::Repository;
use futures::StreamExt as _;
use std::collections::HashSet;
use std::path::Path;

/// How the engine begins to count down to its next try (`Retrying in 5 seconds`).
const AGAIN: &str = "Retrying in ";

/// One build.
pub struct Build<'a> {
    /// The context.
    pub context: &'a Path,
    /// The Dockerfile's path in it.
    pub dockerfile: &'a str,
    /// The local name that the image gets ([`Engine::built_name`]).
    pub name: &'a str,
    /// Names the build's session with the engine.
    pub session: String,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile's own fault, as far as can be told: a command failed, a file is missing.
    #[error("{0}")]
    Failed(String),
    /// The engine's fault.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Builds; what the builder says goes into the log, a section for each of its instructions.
pub async fn build(engine: &Engine, build: &Build<'_>, log: &Log) -> Result<(), BuildError> {
    let file = tokio::fs::File::open(build.context)
        .await
        .map_err(|source| EngineError::file("build", source))?;
    let context = tokio_util::io::ReaderStream::with_capacity(file, 128 * 1024);
    let mut words = Words::new(log);
    let mut said = std::pin::pin!(engine.docker().build_image(
        options(build),
        None,
        Some(bollard::body_try_stream(context)),
    ));
    while let Some(info) = said.next().await {
        match info {
            Ok(info) => words.say(info),
            Err(bollard::errors::Error::DockerStreamError { error }) => {
                return Err(BuildError::Failed(error));
            }
            Err(source) => return Err(EngineError::call("build", source).into()),
        }
    }
    Ok(())
}

/// Nothing of ours goes into the image, which others will have: that it is ours its local name says.
fn options(build: &Build<'_>) -> BuildImageOptions {
    BuildImageOptions {
        dockerfile: build.dockerfile.to_owned(),
        t: Some(build.name.to_owned()),
        nocache: true,
        rm: true,
        forcerm: true,
        networkmode: Some("none".to_owned()),
        version: BuilderVersion::BuilderBuildKit,
        session: Some(build.session.clone()),
        ..BuildImageOptions::default()
    }
}

/// Gives a built image the name under which it is pushed.
pub async fn name(
    engine: &Engine,
    built: &str,
    repository: &Repository,
    tag: &str,
) -> Result<(), EngineError> {
    let options = TagImageOptionsBuilder::default()
        .repo(repository.as_str())
        .tag(tag)
        .build();
    engine
        .docker()
        .tag_image(built, Some(options))
        .await
        .map_err(|source| EngineError::call("name the image", source))
}

/// Pushes `repository:tag` with this bearer; the digest is the engine's word. A layer that the registry does
/// not take the engine sends again, five times and a minute in all, which the log says once.
pub async fn push(
    engine: &Engine,
    repository: &Repository,
    tag: &str,
    token: &str,
    log: &Log,
) -> Result<Digest, EngineError> {
    let credentials = DockerCredentials {
        registrytoken: Some(token.to_owned()),
        ..DockerCredentials::default()
    };
    let options = PushImageOptionsBuilder::default().tag(tag).build();
    let mut said = std::pin::pin!(engine.docker().push_image(
        repository.as_str(),
        Some(options),
        Some(credentials)
    ));
    let (mut digest, mut again) = (None, false);
    while let Some(info) = engine.next_word(&mut said, "push the image").await? {
        let info = info.map_err(|source| EngineError::call("push the image", source))?;
        if !again
            && info
                .status
                .as_ref()
                .is_some_and(|status| status.starts_with(AGAIN))
        {
            again = true;
            log.line("the registry does not take a layer; the engine sends it again");
        }
        // `<tag>: digest: sha256:… size: <n>`, the last word of a push.
        if let Some(status) = &info.status
            && let Some((_, rest)) = status.split_once("digest: ")
        {
            let text = rest.split_whitespace().next().unwrap_or_default();
            digest = Digest::parse(text).ok();
        }
    }
    digest.ok_or(EngineError::NoDigest)
}

/// Removes what was built, and what building left behind.
pub async fn forget(engine: &Engine, built: &str) {
    if let Err(error) = engine.forget(built).await {
        tracing::warn!(%error, built, "the built image was not removed");
    }
    engine.prune_builds().await;
}

/// The builder's words on their way into the log.
struct Words<'a> {
    log: &'a Log,
    begun: HashSet<String>,
    complained: HashSet<String>,
}

impl<'a> Words<'a> {
    fn new(log: &'a Log) -> Self {
        Self {
            log,
            begun: HashSet::new(),
            complained: HashSet::new(),
        }
    }

    fn say(&mut self, info: BuildInfo) {
        if let Some(text) = info.stream {
            self.log.stream().write(text.as_bytes());
        }
        if let Some(BuildInfoAux::BuildKit(status)) = info.aux {
            self.status(status);
        }
    }

    fn status(&mut self, status: StatusResponse) {
        for vertex in status.vertexes {
            if vertex.started.is_some() && self.begun.insert(vertex.digest.clone()) {
                self.log.section(&vertex.name);
            }
            if !vertex.error.is_empty() && self.complained.insert(vertex.digest) {
                self.log.line(&vertex.error);
            }
        }
        for piece in status.logs {
            self.log.stream().write(&piece.msg);
        }
        for warning in status.warnings {
            self.log.line(&String::from_utf8_lossy(&warning.short));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::redact::Secrets;
    use std::sync::Arc;

    #[test]
    fn a_build_has_no_network_and_leaves_no_mark_in_the_image() {
        let options = options(&Build {
            context: Path::new("context.tar"),
            dockerfile: "Dockerfile",
            name: "sallyport-built.local/w:1",
            session: "1".to_owned(),
        });
        assert_eq!(options.networkmode.as_deref(), Some("none"));
        assert!(options.labels.is_none() && options.buildargs.is_none());
        assert!(options.nocache, "no build sees what another left");
        assert!(options.version == BuilderVersion::BuilderBuildKit);
    }

    /// Needs the worker's own engine: `SALLYPORT_TEST_ENGINE=<socket>`.
    #[tokio::test]
    #[ignore = "needs the worker's own container engine, named by SALLYPORT_TEST_ENGINE"]
    async fn an_add_that_slipped_past_the_parser_does_not_reach_the_host_s_loopback() {
        let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let port = canary.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().join("context.tar");
        let dockerfile = format!("FROM scratch\nADD http://127.0.0.1:{port}/canary /canary\n");
        let mut tar = tar::Builder::new(std::fs::File::create(&context).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())
            .unwrap();
        tar.into_inner().unwrap();
        let socket = std::env::var("SALLYPORT_TEST_ENGINE").unwrap();
        let config = crate::engine::Config::at(socket);
        let engine = Engine::connect(&config, "test", "canary-test")
            .await
            .unwrap();
        let path = folder.path().join("log");
        let log = Log::create(path, Secrets::default(), Arc::new(SystemClock)).unwrap();
        let wish = Build {
            context: &context,
            dockerfile: "Dockerfile",
            name: &engine.built_name("canary-1"),
            session: "canary".to_owned(),
        };
        let built = build(&engine, &wish, &log).await;
        let Err(BuildError::Failed(reason)) = built else {
            panic!("the canary was fetched");
        };
        assert!(reason.contains("connection refused"), "{reason}");
        let met = canary.accept().map(|_| ()).unwrap_err().kind();
        assert_eq!(met, std::io::ErrorKind::WouldBlock, "nobody called");
    }
}
