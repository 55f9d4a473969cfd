//! `POST /hooks/<hook>`: 202 for a new delivery, 200 for one that was here, with its id and page.

use crate::app::App;
use crate::delivery::{self, DeliveryId, Received};
use crate::http::Problem;
use crate::http::extract::{Signed, id_reused};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// What a sender hears.
#[derive(Serialize)]
pub struct Answer {
    /// The delivery's id here.
    pub id: DeliveryId,
    /// Its page.
    pub url: String,
    /// `accepted`, `repeated`, `replayed`.
    pub outcome: &'static str,
}

/// Receives a delivery: it is durable when this answers.
pub async fn receive(
    State(app): State<Arc<App>>,
    Signed(signed, _room): Signed,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let received = delivery::receive(&app.intake, signed).await;
    let answer = |status, outcome, id: DeliveryId| {
        let url = app.intake.delivery_url(id.as_str());
        Ok((status, Json(Answer { id, url, outcome })))
    };
    match received.map_err(|error| Problem::internal(&error))? {
        Received::Accepted { id } => {
            app.bells.trigger.ring();
            answer(StatusCode::ACCEPTED, "accepted", id)
        }
        Received::Repeated { id } => answer(StatusCode::OK, "repeated", id),
        Received::Replayed { id, of: _ } => {
            app.bells.trigger.ring();
            answer(StatusCode::OK, "replayed", id)
        }
        Received::IdReused => Err(id_reused()),
    }
}
