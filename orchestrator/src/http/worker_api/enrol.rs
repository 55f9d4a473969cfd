//! `POST /worker/v1/enrol`: a token and a signing request for a client certificate.

use super::{Entrance, Message, Refused};
use crate::fleet::{self, Enrolment};
use axum::Json;
use axum::extract::State;
use contract::protocol::{Enrol, Enrolled, RefusalCode};

/// Lets a worker in.
pub async fn enrol(
    State(entrance): State<Entrance>,
    Message(ask): Message<Enrol>,
) -> Result<Json<Enrolled>, Refused> {
    let enrolment = fleet::enrol(&entrance.ground, &entrance.keys.ca, &ask).await;
    match enrolment.map_err(Refused::internal)? {
        Enrolment::LetIn { certificate } => Ok(Json(Enrolled {
            certificate,
            ca: entrance.keys.ca.certificate().to_owned(),
            instance_id: entrance.hands.instance_id.clone(),
            envelope_key: entrance.keys.envelope.public_pem().to_owned(),
        })),
        Enrolment::BadToken => Err(Refused::new(
            RefusalCode::BadToken,
            "the token is unknown, used or over: `sallyport worker token` mints another one",
        )),
        Enrolment::NameTaken => Err(Refused::new(
            RefusalCode::NotPermitted,
            format!(
                "a worker named {} is enrolled already: choose another name",
                ask.name
            ),
        )),
        Enrolment::BadRequest => Err(Refused::new(
            RefusalCode::BadMessage,
            "wanted a PKCS#10 request in PEM for a P-256 key, signed by that key",
        )),
    }
}
