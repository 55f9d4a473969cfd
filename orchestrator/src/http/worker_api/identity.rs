//! Which worker asks: by the SHA-256 of the certificate that TLS has checked.

use super::{Entrance, Refused};
use crate::fleet::{self, Standing, Worker};
use crate::step::{LeaseKey, StepId};
use axum::extract::{FromRequestParts, RawPathParams};
use axum_server::tls::TlsInfo;
use contract::digest::Digest;
use contract::protocol::RefusalCode;
use http::request::Parts;
use std::sync::Arc;

/// A worker that was let in and is not revoked.
pub struct WorkerIdentity(pub Worker);

impl FromRequestParts<Entrance> for WorkerIdentity {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, entrance: &Entrance) -> Result<Self, Refused> {
        let refused = |message| Refused::new(RefusalCode::NotPermitted, message);
        let certificate = parts
            .extensions
            .get::<Arc<TlsInfo>>()
            .and_then(|tls| tls.peer_certificates.first())
            .ok_or_else(|| refused("a client certificate is wanted: enrol first"))?;
        let digest = Digest::of(certificate);
        let mut conn = entrance
            .ground
            .db
            .reader()
            .await
            .map_err(Refused::internal)?;
        let worker = fleet::by_certificate(&mut conn, &digest)
            .await
            .map_err(Refused::internal)?;
        let worker = worker.ok_or_else(|| refused("no worker has this certificate"))?;
        match worker.standing {
            Standing::Active | Standing::Drained { .. } => Ok(Self(worker)),
            Standing::Revoked { .. } => Err(refused("this worker was revoked")),
        }
    }
}

/// A worker that speaks under a lease; whether it still holds it, the room decides.
pub struct Leaseholder {
    /// The worker.
    pub worker: Worker,
    /// The lease that it names.
    pub key: LeaseKey,
}

impl FromRequestParts<Entrance> for Leaseholder {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, entrance: &Entrance) -> Result<Self, Refused> {
        let WorkerIdentity(worker) = WorkerIdentity::from_request_parts(parts, entrance).await?;
        let bad = || Refused::new(RefusalCode::BadMessage, "wanted …/leases/<step>/<fence>/…");
        let params = RawPathParams::from_request_parts(parts, entrance)
            .await
            .map_err(|_| bad())?;
        let (mut step, mut fence) = (None, None);
        for (name, value) in &params {
            match name {
                "step" => step = StepId::parse(value).ok(),
                "fence" => fence = value.parse::<i64>().ok(),
                _ => {}
            }
        }
        let (Some(step), Some(fence)) = (step, fence) else {
            return Err(bad());
        };
        let key = LeaseKey {
            step,
            fence,
            worker: worker.id.clone(),
        };
        Ok(Self { worker, key })
    }
}
