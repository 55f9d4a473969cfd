//! The answer to what `step` asks about images.

use super::state::{Observation, RefusalReason};
use super::store;
use crate::db::{self, Conn};
use crate::run::RunId;
use crate::step::{self, StepId};
use contract::image::ImageRef;
use contract::name::Name;
use futures::future::BoxFuture;

/// Answers from the stored observations.
pub struct StoredObservations;

impl step::ObservedImages for StoredObservations {
    fn observation<'a>(
        &'a self,
        conn: &'a mut Conn,
        step: &'a StepId,
        fence: i64,
    ) -> BoxFuture<'a, Result<step::Observation, db::Error>> {
        Box::pin(async move {
            Ok(
                match store::observation(conn, step.as_str(), fence).await? {
                    Observation::Pending => step::Observation::NotYet,
                    Observation::Observed(_) => step::Observation::Observed,
                    Observation::Refused {
                        reason: RefusalReason::Infrastructure,
                        detail,
                    } => step::Observation::Infrastructure { detail },
                    Observation::Refused { reason, detail } => step::Observation::Refused {
                        detail: format!("{}: {detail}", reason.as_str()),
                    },
                },
            )
        })
    }

    fn image<'a>(
        &'a self,
        conn: &'a mut Conn,
        run: &'a RunId,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<ImageRef>, db::Error>> {
        Box::pin(async move {
            let images = store::images_of_run(conn, run.as_str()).await?;
            let own = images.into_iter().find(|image| image.name == *name);
            Ok(own.map(|image| ImageRef {
                repository: image.repository,
                digest: image.digest,
            }))
        })
    }
}
