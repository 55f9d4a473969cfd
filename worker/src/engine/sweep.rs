//! Ending what is ours: of one lease, or everything that an earlier process left.

use super::client::Engine;
use super::pods::PodName;
use super::state::{EngineError, POD_LABEL, STEP_LABEL};
use crate::step::chain;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use std::collections::HashMap;

impl Engine {
    /// Ends and removes everything of this worker: containers, volumes, pods, and what a build that was
    /// cut off left behind.
    pub async fn sweep(&self) -> Result<usize, EngineError> {
        let removed = self.remove(&self.own()).await?;
        self.clear_pods().await?;
        self.remove_named().await?;
        self.prune_builds().await;
        Ok(removed)
    }

    /// Ends what of a step still runs in a pod; nothing does where the step went to its end.
    pub async fn end_step(&self, pod: &PodName) -> Result<(), EngineError> {
        let mut filter = self.of_pod(pod);
        filter
            .entry("label".to_owned())
            .or_default()
            .push(STEP_LABEL.to_owned());
        let options = ListContainersOptionsBuilder::default()
            .filters(&filter)
            .build();
        let running = self
            .docker()
            .list_containers(Some(options))
            .await
            .map_err(|source| EngineError::call("list a step's containers", source))?;
        for id in running.into_iter().filter_map(|container| container.id) {
            match self.docker().kill_container(&id, None).await {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(EngineError::call("end a step's container", source)),
            }
        }
        Ok(())
    }

    /// Ends and removes every container and volume of one pod, and its cgroup. What could not be removed is
    /// tried again by [`Engine::sweep_again`].
    pub async fn sweep_pod(&self, pod: &PodName) -> Result<(), EngineError> {
        let removed = self.remove(&self.of_pod(pod)).await;
        let swept = removed.and(self.remove_pod(pod).await);
        if swept.is_err() {
            self.unswept().push(pod.clone());
        }
        swept
    }

    /// Tries once more to remove the pods that could not be removed.
    pub async fn sweep_again(&self) {
        let pods = std::mem::take(&mut *self.unswept());
        for pod in pods {
            if let Err(error) = self.sweep_pod(&pod).await {
                tracing::warn!(%pod, error = chain(&error), "a pod is still not removed");
            }
        }
    }

    fn of_pod(&self, pod: &PodName) -> HashMap<String, Vec<String>> {
        let mut filter = self.own();
        filter
            .entry("label".to_owned())
            .or_default()
            .push(format!("{POD_LABEL}={pod}"));
        filter
    }

    /// Removes an image with all its names; one that is gone already, or is still used, is no error.
    pub async fn forget(&self, name: &str) -> Result<(), EngineError> {
        let image = match self.docker().inspect_image(name).await {
            Ok(image) => image.id.unwrap_or_else(|| name.to_owned()),
            Err(error) if is_gone(&error) => return Ok(()),
            Err(source) => return Err(EngineError::call("look for an image", source)),
        };
        let options = RemoveImageOptionsBuilder::default()
            .force(true)
            .noprune(true)
            .build();
        match self
            .docker()
            .remove_image(&image, Some(options), None)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(source) => Err(EngineError::call("remove an image", source)),
        }
    }

    /// Removes what was built or borrowed for a step and is still there.
    async fn remove_named(&self) -> Result<(), EngineError> {
        let reference = vec![self.built_repository()];
        let filters = HashMap::from([("reference".to_owned(), reference)]);
        let options = ListImagesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self
            .docker()
            .list_images(Some(options))
            .await
            .map_err(|source| EngineError::call("list the images of steps", source))?;
        let prefix = format!("{}:", self.built_repository());
        let names = found.into_iter().flat_map(|image| image.repo_tags);
        for name in names.filter(|name| name.starts_with(&prefix)) {
            self.forget(&name).await?;
        }
        Ok(())
    }

    /// Ends and removes every container and volume there is, whosever; how many containers there were. For the
    /// end of an engine that is our own.
    pub async fn remove_everything(&self) -> Result<usize, EngineError> {
        self.remove(&HashMap::new()).await
    }

    async fn remove(&self, filter: &HashMap<String, Vec<String>>) -> Result<usize, EngineError> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(filter)
            .build();
        let found = self
            .docker()
            .list_containers(Some(options))
            .await
            .map_err(|source| EngineError::call("list our containers", source))?;
        let count = found.len();
        let ids = found.into_iter().filter_map(|container| container.id);
        let removed = ids.map(|id| self.remove_container(id));
        // Most of the time is the engine's waiting for the kernel. Everything is tried, whatever another's end.
        let mut all: Result<(), EngineError> = futures::future::join_all(removed)
            .await
            .into_iter()
            .collect();
        let options = ListVolumesOptionsBuilder::default().filters(filter).build();
        let found = self
            .docker()
            .list_volumes(Some(options))
            .await
            .map_err(|source| EngineError::call("list our volumes", source))?;
        for volume in found.volumes.unwrap_or_default() {
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            match self
                .docker()
                .remove_volume(&volume.name, Some(options))
                .await
            {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(source) => all = all.and(Err(EngineError::call("remove a volume", source))),
            }
        }
        all.map(|()| count)
    }

    async fn remove_container(&self, id: String) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        match self.docker().remove_container(&id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(source) => Err(EngineError::call("remove a container", source)),
        }
    }
}

/// Somebody was faster: gone is what we wanted.
fn is_gone(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use crate::engine::stand_in::StandIn;

    #[tokio::test]
    async fn a_sweep_takes_what_is_of_this_worker_of_this_instance() {
        let (engine, stand_in) = StandIn::of("instance-1", "worker-1", |asked| match asked {
            asked if asked.starts_with("GET /images/json") => (
                200,
                r#"[{"Id":"sha256:1","ParentId":"","RepoTags":["sallyport-built.local/6212a06c-worker-1:step-1","registry.example/q/web:x"],"RepoDigests":[],"Created":0,"Size":0,"SharedSize":0,"Labels":{},"Containers":0}]"#,
            ),
            asked if asked.starts_with("GET /images/") => (200, r#"{"Id":"sha256:1"}"#),
            asked if asked.starts_with("GET /volumes") => (200, r#"{"Volumes":[]}"#),
            asked if asked.starts_with("POST /build/prune") => (200, "{}"),
            _ => (200, "[]"),
        })
        .await;
        assert_eq!(engine.sweep().await.unwrap(), 0);
        let asked = stand_in.asked();
        for what in ["GET /containers/json?all=true", "GET /volumes?"] {
            let asked = asked.iter().find(|asked| asked.starts_with(what)).unwrap();
            for label in ["worker%3Dworker-1%22", "instance%3Dinstance-1%22"] {
                assert!(asked.contains(label), "{asked}");
            }
        }
        // What a killed process built or borrowed goes with all its names.
        let removed = "DELETE /images/sha256:1?force=true&noprune=true";
        assert!(asked.iter().any(|asked| asked == removed), "{asked:#?}");
        let another = StandIn::of("instance-2", "worker-1", |_| (200, "[]")).await;
        assert_ne!(another.0.name_pod(), engine.name_pod());
        assert_ne!(another.0.built_name("1"), engine.built_name("1"));
    }
}
