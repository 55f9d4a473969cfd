//! `PUT …/leases/<step>/<fence>/log/<sequence>?offset=<n>&sha256=<running hex>`: a log chunk.

use super::{Entrance, Leaseholder, Refused};
use crate::step::{Appended, Chunk};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use contract::digest::Digest;
use contract::protocol::{LogAnswer, RefusalCode};
use serde::Deserialize;

/// Where the chunk belongs.
#[derive(Deserialize)]
pub struct Place {
    offset: i64,
    sha256: String,
}

/// Appends a chunk.
pub async fn append(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
    Path((_, _, sequence)): Path<(String, i64, i64)>,
    Query(place): Query<Place>,
    bytes: Bytes,
) -> Result<Json<LogAnswer>, Refused> {
    let sha256 = Digest::parse_hex(&place.sha256)
        .map_err(|error| Refused::new(RefusalCode::BadMessage, format!("sha256: {error}")))?;
    let chunk = Chunk {
        sequence,
        offset: place.offset,
        sha256,
        bytes,
    };
    let appended = entrance
        .hands
        .logs
        .append(&entrance.ground, &lease.key, chunk)
        .await;
    match appended.map_err(Refused::internal)? {
        Appended::Durable(answer) => Ok(Json(answer)),
        Appended::LeaseLost => Err(Refused::lease_lost()),
        Appended::OutOfOrder(message) => Err(Refused::new(RefusalCode::OutOfOrder, message)),
        Appended::TooLarge => Err(Refused::new(
            RefusalCode::TooLarge,
            "1 byte to 256 KiB a chunk, 64 MiB a log",
        )),
    }
}
