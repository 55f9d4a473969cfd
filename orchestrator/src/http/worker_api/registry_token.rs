//! `POST …/leases/<step>/<fence>/registry-token`: a right in the registry, right before its use.

use super::{Entrance, Leaseholder, Message, Refused};
use crate::registry::{Access, TOKEN_LIFETIME};
use crate::step::{self, Right};
use axum::Json;
use axum::extract::State;
use contract::protocol::{RefusalCode, RegistryToken, RegistryTokenRequest};

/// A token for exactly one repository, never past the lease.
pub async fn registry_token(
    State(entrance): State<Entrance>,
    lease: Leaseholder,
    Message(wish): Message<RegistryTokenRequest>,
) -> Result<Json<RegistryToken>, Refused> {
    let right = step::right(&entrance.ground, &entrance.hands, &lease.key, &wish).await;
    let (repository, push, until) = match right.map_err(Refused::internal)? {
        Right::Granted {
            repository,
            push,
            until,
        } => (repository, push, until),
        Right::Refused => {
            return Err(Refused::new(
                RefusalCode::NotPermitted,
                "the step's work does not name this repository so",
            ));
        }
        Right::LeaseLost => return Err(Refused::lease_lost()),
    };
    if repository.registry() != entrance.issuer.service() {
        return Err(Refused::new(
            RefusalCode::NotPermitted,
            format!("tokens are for {} only", entrance.issuer.service()),
        ));
    }
    let (now, ids) = (entrance.ground.now(), entrance.ground.ids.as_ref());
    let lifetime = TOKEN_LIFETIME.min(until.since(now));
    let access = if push {
        Access::push(repository.path())
    } else {
        Access::pull(repository.path())
    };
    let subject = format!("worker({}) step({})", lease.worker.name, lease.key.step);
    let token = entrance
        .issuer
        .issue(now, ids, &subject, &[access], lifetime);
    Ok(Json(RegistryToken {
        token,
        expires_at: now.plus(lifetime).0,
    }))
}
