//! `POST …/leases/<step>/<fence>/report`: the end of the work, signed by the worker.

use super::{Entrance, Leaseholder, Refused};
use crate::step::{self, Reported};
use axum::body::Bytes;
use axum::extract::State;
use contract::protocol::RefusalCode;
use http::StatusCode;

/// Stores the report and wakes whoever judges it.
pub async fn report(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
    envelope: Bytes,
) -> Result<StatusCode, Refused> {
    let (ground, logs) = (&entrance.ground, &entrance.hands.logs);
    let reported = step::report(ground, logs, &lease.worker, &lease.key, envelope.to_vec()).await;
    match reported.map_err(Refused::internal)? {
        Reported::Stored => {
            entrance.bells.image.ring();
            entrance.bells.finding.ring();
            entrance.bells.step.ring();
            Ok(StatusCode::NO_CONTENT)
        }
        Reported::LeaseLost => Err(Refused::lease_lost()),
        Reported::Refused(why) => Err(Refused::new(RefusalCode::NotPermitted, why)),
        Reported::TooLarge => Err(Refused::new(
            RefusalCode::TooLarge,
            "1 MiB a report, 200 artifacts",
        )),
    }
}
