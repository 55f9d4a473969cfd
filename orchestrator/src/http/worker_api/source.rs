//! `GET …/leases/<step>/<fence>/source`: the commit's files.

use super::{Entrance, Leaseholder, Refused};
use crate::step;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use tokio_util::io::ReaderStream;

/// The source archive; the worker checks its digest.
pub async fn source(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
) -> Result<Response, Refused> {
    let source = step::source(&entrance.ground, &lease.key).await;
    let Some((digest, bytes)) = source.map_err(Refused::internal)? else {
        return Err(Refused::lease_lost());
    };
    let path = entrance.hands.blobs.path(&digest);
    let file = tokio::fs::File::open(path)
        .await
        .map_err(Refused::internal)?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
