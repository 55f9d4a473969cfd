//! Takes a worker out of work: for a while (drain) or for ever (revoke).

use super::state::{Error, WorkerId};
use super::store;
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::identity::Actor;

/// The worker ends what it has and gets nothing new (`drain` true), or works again.
pub async fn drain(
    ground: &Ground,
    id: &WorkerId,
    drain: bool,
    actor: &Actor,
) -> Result<(), Error> {
    let (now, ids, id, actor) = (ground.now(), ground.ids.clone(), id.clone(), actor.clone());
    ground
        .db
        .write("fleet.drain", move |conn| {
            Box::pin(async move {
                store::set_drained(conn, &id, drain.then_some(now)).await?;
                let kind = if drain {
                    "fleet.worker-drained"
                } else {
                    "fleet.worker-resumed"
                };
                let record = Record::new(kind, format!("worker:{id}"), &actor);
                audit::append(conn, now, ids.as_ref(), record).await?;
                Ok::<_, Error>(())
            })
        })
        .await
}

/// The worker is refused at the door from now on; its leases run out.
pub async fn revoke(ground: &Ground, id: &WorkerId, actor: &Actor) -> Result<(), Error> {
    let (now, ids, id, actor) = (ground.now(), ground.ids.clone(), id.clone(), actor.clone());
    ground
        .db
        .write("fleet.revoke", move |conn| {
            Box::pin(async move {
                if store::set_revoked(conn, &id, now).await? {
                    let record =
                        Record::new("fleet.worker-revoked", format!("worker:{id}"), &actor);
                    audit::append(conn, now, ids.as_ref(), record).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
}
