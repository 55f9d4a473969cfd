//! Images by digest, and how they want to be started.

use super::client::Engine;
use super::state::EngineError;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptionsBuilder;
use contract::image::ImageRef;
use futures::{Stream, StreamExt as _};
use std::collections::BTreeMap;

/// How an image says that it wants to be started: an input, never trusted.
#[derive(Debug, Clone, Default)]
pub struct ImageStart {
    /// ENTRYPOINT and CMD together.
    pub command: Vec<String>,
    /// ENV.
    pub env: BTreeMap<String, String>,
    /// WORKDIR, or `/`.
    pub workdir: String,
    /// USER, when it is a number other than 0.
    pub user: Option<u32>,
    /// USER as it stands there.
    pub user_text: String,
    /// VOLUME.
    pub volumes: Vec<String>,
    /// ONBUILD: instructions that a build on top of it would run.
    pub on_build: Vec<String>,
}

impl Engine {
    /// The next thing that the engine says of a pull or a push. Silence is the registry's, which does not
    /// answer it.
    pub(crate) async fn next_word<T>(
        &self,
        said: &mut (impl Stream<Item = T> + Unpin),
        what: &'static str,
    ) -> Result<Option<T>, EngineError> {
        let patience = self.registry_timeout();
        tokio::time::timeout(patience, said.next())
            .await
            .map_err(|_| EngineError::Silent {
                what,
                secs: patience.as_secs(),
            })
    }

    /// Whether the engine holds this image.
    pub async fn has(&self, image: &ImageRef) -> bool {
        self.docker()
            .inspect_image(&image.to_string())
            .await
            .is_ok()
    }

    /// Brings an image in by its digest, with this bearer.
    pub async fn pull(&self, image: &ImageRef, token: &str) -> Result<(), EngineError> {
        let credentials = DockerCredentials {
            registrytoken: Some(token.to_owned()),
            ..DockerCredentials::default()
        };
        let failed = |source| EngineError::Pull {
            image: Box::new(image.clone()),
            source,
        };
        let options = CreateImageOptionsBuilder::default()
            .from_image(image.repository.as_str())
            .tag(&image.digest.to_string())
            .build();
        let mut said = std::pin::pin!(self.docker().create_image(
            Some(options),
            None,
            Some(credentials)
        ));
        while let Some(info) = self.next_word(&mut said, "pull an image").await? {
            info.map_err(failed)?;
        }
        // The engine checked the digest; that it is there is checked here.
        self.docker()
            .inspect_image(&image.to_string())
            .await
            .map(drop)
            .map_err(failed)
    }

    /// How the image wants to be started.
    pub async fn image_start(&self, image: &ImageRef) -> Result<ImageStart, EngineError> {
        let inspected = self
            .docker()
            .inspect_image(&image.to_string())
            .await
            .map_err(|source| EngineError::call("read an image's settings", source))?;
        let config = inspected.config.unwrap_or_default();
        let mut command = config.entrypoint.unwrap_or_default();
        command.extend(config.cmd.unwrap_or_default());
        let env = config.env.unwrap_or_default();
        let env = env
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let user_text = config.user.unwrap_or_default();
        let user = user_text
            .split(':')
            .next()
            .and_then(|user| user.parse().ok());
        let workdir = config.working_dir.filter(|dir| !dir.is_empty());
        Ok(ImageStart {
            command,
            env,
            workdir: workdir.unwrap_or_else(|| "/".to_owned()),
            user: user.filter(|user| *user != 0),
            user_text,
            volumes: config.volumes.unwrap_or_default().into_iter().collect(),
            on_build: config.on_build.unwrap_or_default(),
        })
    }
}
