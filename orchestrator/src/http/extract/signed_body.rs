//! A request at a hook becomes a [`SignedBody`], or is refused, recorded and answered here.

use super::client_address;
use crate::app::App;
use crate::delivery::{self, BodyRoom, Intake, RefusalReason, Refused, Request, SignedBody};
use crate::http::problem::{Code, Problem};
use axum::extract::{FromRequest, FromRequestParts as _, Path};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// A forge sends its body at once; whoever trickles it holds a connection for no longer.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// The buffer grows with what comes; a claimed length reserves no more than this.
const RESERVE_BYTES_MAX: usize = 64 * 1024;

/// A verified request at a hook, and the room that its body takes until it is answered.
pub struct Signed(pub SignedBody, pub BodyRoom);

impl FromRequest<Arc<App>> for Signed {
    type Rejection = Problem;

    async fn from_request(
        request: axum::extract::Request,
        app: &Arc<App>,
    ) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let hook = Path::<String>::from_request_parts(&mut parts, app).await;
        let hook_id = hook.map(|Path(id)| id).unwrap_or_default();
        let proxies = &app.config.server.trusted_proxies;
        let address = client_address(proxies, &parts.extensions, &parts.headers);
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut room = app.intake.no_room();
        let read = read(body, &parts.headers, app.intake.body_bytes_max(), &mut room);
        let body = tokio::time::timeout(BODY_TIMEOUT, read)
            .await
            .unwrap_or(Err(RefusalReason::BodyTruncated));
        let request = Request {
            hook_id: &hook_id,
            headers: &parts.headers,
            body,
            address,
        };
        match SignedBody::verify(&app.intake, request).await {
            Ok(signed) => Ok(Self(signed, room)),
            Err(refused) => Err(answer(&app.intake, &refused).await),
        }
    }
}

/// The raw bytes, never more than may be: a claimed length that is too long is refused unread.
async fn read(
    mut body: axum::body::Body,
    headers: &HeaderMap,
    bytes_max: usize,
    room: &mut BodyRoom,
) -> Result<Bytes, RefusalReason> {
    let claimed = headers.get(header::CONTENT_LENGTH);
    let claimed = claimed.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if claimed.is_some_and(|claimed| claimed > bytes_max) {
        return Err(RefusalReason::BodyTooLarge);
    }
    let mut bytes = BytesMut::with_capacity(claimed.unwrap_or(0).min(RESERVE_BYTES_MAX));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| RefusalReason::BodyTruncated)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > bytes_max {
            return Err(RefusalReason::BodyTooLarge);
        }
        // By what has come, not by what is claimed: a claim costs its sender nothing.
        if !room.grow(data.len()) {
            return Err(RefusalReason::Overloaded);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Records a refusal and says as much of it as a stranger may know.
async fn answer(intake: &Intake, refused: &Refused) -> Problem {
    delivery::refuse(intake, refused).await;
    match refused.reason() {
        RefusalReason::UnknownHook
        | RefusalReason::SignatureMissing
        | RefusalReason::SignatureMalformed
        | RefusalReason::SignatureWrong
        | RefusalReason::TimestampOutside
        | RefusalReason::Other => Problem::new(
            Code::NotVerified,
            "no hook of this address and signature: check the hook's address, its secret and the sender's clock",
        ),
        RefusalReason::BodyTooLarge => Problem::new(
            Code::BodyTooLarge,
            format!(
                "a delivery has at most {} bytes ([server] hook-bytes-max)",
                intake.body_bytes_max()
            ),
        ),
        RefusalReason::BodyTruncated => Problem::new(
            Code::BodyTruncated,
            "the body did not come whole, or not in time",
        ),
        RefusalReason::BodyEmpty => Problem::new(Code::BodyEmpty, "there is no body"),
        RefusalReason::DeliveryIdMalformed => Problem::new(
            Code::DeliveryIdMalformed,
            "the headers name no delivery id or event: wanted 1 to 128 letters, digits, `-_.:`",
        ),
        RefusalReason::IdReused => id_reused(),
        RefusalReason::Overloaded => Problem::busy(),
    }
}

/// Another body under an id that is taken.
pub fn id_reused() -> Problem {
    Problem::new(
        Code::IdReused,
        "another body came under this delivery id before: send it under a new one",
    )
}
