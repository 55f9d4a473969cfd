//! `PUT …/leases/<step>/<fence>/artifacts/<sequence>?name=<name>&sha256=<hex>`: a file of the step.

use super::{Entrance, Leaseholder, Refused};
use crate::step::{ArtifactAsk, ArtifactName, ArtifactStored};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use contract::digest::Digest;
use contract::protocol::RefusalCode;
use http::StatusCode;
use serde::Deserialize;

/// What the file is.
#[derive(Deserialize)]
pub struct What {
    name: String,
    sha256: String,
}

/// Stores an artifact.
pub async fn store(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
    Path((_, _, sequence)): Path<(String, i64, i64)>,
    Query(what): Query<What>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let bad = |message: String| Refused::new(RefusalCode::BadMessage, message);
    let name = ArtifactName::parse(&what.name).map_err(|error| bad(error.to_string()))?;
    let digest = Digest::parse_hex(&what.sha256).map_err(|error| bad(error.to_string()))?;
    let ask = ArtifactAsk {
        sequence,
        name,
        digest,
    };
    let stored = lease
        .key
        .store_artifact(
            &entrance.ground,
            &entrance.hands.blobs,
            ask,
            body.into_data_stream(),
        )
        .await;
    match stored.map_err(Refused::internal)? {
        ArtifactStored::Durable => Ok(StatusCode::NO_CONTENT),
        ArtifactStored::LeaseLost => Err(Refused::lease_lost()),
        ArtifactStored::OutOfOrder(message) => Err(Refused::new(RefusalCode::OutOfOrder, message)),
        ArtifactStored::TooLarge => Err(Refused::new(
            RefusalCode::TooLarge,
            "64 MiB an artifact, 200 artifacts a step",
        )),
        ArtifactStored::NotThese => Err(Refused::new(
            RefusalCode::OutOfOrder,
            "the bytes are not those of the digest",
        )),
    }
}
