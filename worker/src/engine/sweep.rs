//! Ending what is ours: of one lease, or everything that an earlier process left.

use super::client::Engine;
use super::state::{EngineError, LEASE_LABEL};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use std::collections::HashMap;

impl Engine {
    /// Ends and removes every container and volume of this worker.
    pub async fn sweep(&self) -> Result<usize, EngineError> {
        self.remove(&self.own()).await
    }

    /// Ends and removes every container and volume of one lease.
    pub async fn sweep_lease(&self, step_id: &str, fence: i64) -> Result<usize, EngineError> {
        let mut filter = self.own();
        filter
            .entry("label".to_owned())
            .or_default()
            .push(format!("{LEASE_LABEL}={step_id}/{fence}"));
        self.remove(&filter).await
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
        for id in found.into_iter().filter_map(|container| container.id) {
            let options = RemoveContainerOptionsBuilder::default()
                .force(true)
                .v(true)
                .build();
            match self.docker().remove_container(&id, Some(options)).await {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(EngineError::call("remove a container", source)),
            }
        }
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
                Err(source) => return Err(EngineError::call("remove a volume", source)),
            }
        }
        Ok(count)
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
