//! A JSON message of the protocol: bounded by the route, parsed once.

use super::Refused;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use contract::protocol::RefusalCode;
use serde::de::DeserializeOwned;

/// A message.
pub struct Message<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Message<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Refused::new(RefusalCode::TooLarge, "the message is too large"))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Refused::new(
                RefusalCode::BadMessage,
                format!("the message is not what was agreed: {error}"),
            )
        })
    }
}
