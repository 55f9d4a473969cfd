//! Which right in the registry a lease gives: pushing to its own quarantine repository, and pulling
//! what its work names. Nothing else (P7).

use super::job::{planned, resolve};
use super::state::{Error, Hands, LeaseKey, Step};
use super::store;
use crate::clock::At;
use crate::db::Conn;
use crate::ground::Ground;
use crate::registry::TOKEN_LIFETIME;
use crate::run::PlannedWork;
use contract::image::Repository;
use contract::protocol::{RegistryTokenRequest, Work};

/// What a lease may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Exactly this, and not past the lease's end.
    Granted {
        /// The repository.
        repository: Repository,
        /// Whether it may push.
        push: bool,
        /// The token's latest end.
        until: At,
    },
    /// The work does not name this repository so.
    Refused,
    /// The lease has passed on.
    LeaseLost,
}

/// Decides about a worker's wish. A lease lives as long as the right that it gives: a layer that takes
/// minutes to go over the wire is not refused half way, and no token outlives its lease. The price is
/// that a machine that vanishes meanwhile is missed that much later.
pub async fn right(
    ground: &Ground,
    hands: &Hands,
    key: &LeaseKey,
    wish: &RegistryTokenRequest,
) -> Result<Right, Error> {
    let mut conn = ground.db.reader().await?;
    let Some(step) = store::held(&mut conn, key).await? else {
        return Ok(Right::LeaseLost);
    };
    let named = named(&mut conn, hands, &step).await?;
    let granted = named
        .iter()
        .any(|(repository, push)| *repository == wish.repository && (*push || !wish.push));
    if !granted {
        return Ok(Right::Refused);
    }
    drop(conn);
    let (key, until) = (key.clone(), ground.now().plus(TOKEN_LIFETIME));
    // One guarded UPDATE: READ COMMITTED is enough.
    let until = ground
        .db
        .write_guarded("step.registry-right", move |conn| {
            Box::pin(async move { Ok::<_, Error>(store::outlast(conn, &key, until).await?) })
        })
        .await?;
    Ok(match until {
        Some(until) => Right::Granted {
            repository: wish.repository.clone(),
            push: wish.push,
            until,
        },
        None => Right::LeaseLost,
    })
}

/// The repositories that the work names, each with whether it may be pushed to.
async fn named(
    conn: &mut Conn,
    hands: &Hands,
    step: &Step,
) -> Result<Vec<(Repository, bool)>, Error> {
    let work = planned(step)?.work;
    if let PlannedWork::Build {
        repository, bases, ..
    } = work
    {
        let mut named = vec![(repository, true)];
        named.extend(bases.into_iter().map(|base| (base.repository, false)));
        return Ok(named);
    }
    let image = match work.image_of() {
        Some(name) => hands.images.image(conn, &step.run_id, name).await?,
        None => None,
    };
    let images = match resolve(work, image) {
        Some(Work::Run { image, command: _ }) => vec![image],
        Some(Work::Analyze { tools }) => tools.into_iter().map(|tool| tool.image).collect(),
        Some(Work::Scan {
            image,
            sbom,
            secrets,
        }) => vec![image, sbom.image, secrets.image],
        Some(Work::Test {
            image,
            probe,
            services,
            ..
        }) => {
            let mut images = vec![image, probe];
            images.extend(services.into_iter().map(|service| service.image));
            images
        }
        Some(Work::Build { .. } | Work::Unsupported) | None => Vec::new(),
    };
    Ok(images
        .into_iter()
        .map(|image| (image.repository, false))
        .collect())
}
