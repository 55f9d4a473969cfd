//! `POST /worker/v1/hello`: a worker has started.

use super::{Entrance, Message, Refused, WorkerIdentity};
use crate::{fleet, step};
use axum::extract::State;
use contract::protocol::{Hello, RefusalCode};
use http::StatusCode;

/// Stores what the worker is; ends what it held before.
pub async fn hello(
    State(entrance): State<Entrance>,
    WorkerIdentity(worker): WorkerIdentity,
    Message(hello): Message<Hello>,
) -> Result<StatusCode, Refused> {
    if hello.restarted {
        let ended = step::restarted(&entrance.ground, &worker.id).await;
        if ended.map_err(Refused::internal)? > 0 {
            entrance.bells.step.ring();
        }
    }
    let good = fleet::hello(&entrance.ground, &worker.id, &hello).await;
    if good.map_err(Refused::internal)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::new(
            RefusalCode::BadMessage,
            "wanted 1 to 256 slots, at most 200 rules, short texts, and a level of isolation such as docker-runc-userns",
        ))
    }
}
