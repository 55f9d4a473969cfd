//! `POST /worker/v1/claim`: waits for a step and leases it.

use super::{Entrance, Message, Refused, WorkerIdentity};
use crate::step::{self, Claimed};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use contract::protocol::{Claim, JOB_PAYLOAD_TYPE, RefusalCode};
use http::{StatusCode, header};
use std::time::Duration;

/// A signed job, or 204.
pub async fn claim(
    State(entrance): State<Entrance>,
    WorkerIdentity(worker): WorkerIdentity,
    Message(claim): Message<Claim>,
) -> Result<Response, Refused> {
    let wait = Duration::from_millis(claim.wait_ms);
    let claimed = step::wait(
        &entrance.ground,
        &entrance.hands,
        &worker,
        wait,
        &entrance.stop,
    )
    .await;
    match claimed.map_err(Refused::internal)? {
        Claimed::Leased(job) => {
            let payload = serde_json::to_vec(&job).map_err(Refused::internal)?;
            let envelope = entrance.keys.envelope.sign(JOB_PAYLOAD_TYPE, &payload);
            let envelope = envelope.map_err(Refused::internal)?;
            Ok(([(header::CONTENT_TYPE, "application/json")], envelope).into_response())
        }
        Claimed::Nothing => Ok(StatusCode::NO_CONTENT.into_response()),
        Claimed::NoHello => Err(Refused::new(
            RefusalCode::NoHello,
            "say hello before the first claim",
        )),
    }
}
