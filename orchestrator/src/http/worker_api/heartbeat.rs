//! `POST …/leases/<step>/<fence>/heartbeat`: the worker is still at work.

use super::{Entrance, Leaseholder, Message, Refused};
use crate::step::{self, Beat};
use axum::Json;
use axum::extract::State;
use contract::protocol::{Heartbeat, HeartbeatAnswer};

/// Extends the lease.
pub async fn heartbeat(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
    Message(beat): Message<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Refused> {
    let beat = step::heartbeat(&entrance.ground, &lease.key, &beat.phase).await;
    match beat.map_err(Refused::internal)? {
        Beat::Held(answer) => Ok(Json(answer)),
        Beat::Lost => Err(Refused::lease_lost()),
    }
}
