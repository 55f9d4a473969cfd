//! An administrator gives up a promotion that is applied and does not come to its end, so that its
//! environment is free again: the wish is stored here, and the pass carries it out.
//!
//! No tag may stand that the database denies. So the pass writes no further tag from the wish on, waits until
//! none can be on its way any more, reads which of them stand, and ends the promotion by saying so. Where a
//! tag that follows what the environment holds has moved, or cannot be read, no release is whole there any
//! more: the environment is written down as holding none, until the next promotion into it.

use super::advance::end;
use super::apply::{CURRENT, Plan};
use super::fail::left_behind;
use super::reason;
use super::state::{Event, GiveUp, Hands, Promotion, PromotionError, PromotionId, PromotionState};
use super::store;
use crate::audit::{self, Record};
use crate::db::Error::Inconsistent;
use crate::gate::GateError;
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, ReleaseId};
use crate::reconcile::Progress;
use contract::digest::Digest;
use contract::name::Name;
use std::collections::BTreeMap;
use std::time::Duration;

/// So long after the wish no tag is on its way any more: another orchestrator looks for the wish before
/// each, and one takes three requests of a minute at most.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5 * 60);

/// Of what was given up before its first tag, and cannot be read.
const NOTHING_KNOWN: &str =
    "No tag was written; what else of it lies in the registry could not be determined.";

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUpOutcome {
    /// It will end.
    Asked,
    /// Somebody had asked already.
    AskedBefore,
    /// It is not being applied.
    NotApplying,
    /// A reason is wanted, in plain text, and not a book.
    Reason,
    /// There is no such promotion.
    NoSuchPromotion,
}

/// An administrator asks for the end of a promotion that is applied; the caller rings `Bells::promotion`.
pub async fn give_up(
    ground: &Ground,
    actor: &Actor,
    id: &PromotionId,
    reason: &str,
) -> Result<GiveUpOutcome, PromotionError> {
    let Some(reason) = reason::parse(reason) else {
        return Ok(GiveUpOutcome::Reason);
    };
    let (ground_in, actor, id) = (ground.clone(), actor.clone(), id.clone());
    ground
        .db
        .write("promotion.give-up", move |conn| {
            Box::pin(async move {
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(GiveUpOutcome::NoSuchPromotion);
                };
                if promotion.give_up.is_some() {
                    return Ok(GiveUpOutcome::AskedBefore);
                }
                let at = ground_in.now();
                let wish = GiveUp {
                    at: at.0,
                    by: actor.to_string(),
                    reason: reason.clone(),
                };
                if !store::give_up(conn, &id, &wish).await? {
                    return Ok(GiveUpOutcome::NotApplying);
                }
                let subject = format!("promotion:{id}");
                let record = Record::new("promotion.give-up-asked", subject, &actor)
                    .project(&promotion.project_id)
                    .with("environment", promotion.environment.as_str())
                    .with("reason", reason);
                audit::append(conn, at, &*ground_in.ids, record).await?;
                Ok(GiveUpOutcome::Asked)
            })
        })
        .await
}

/// Ends a promotion that was given up, with what stands of it, as far as its plan can be read to tell.
pub(super) async fn carry_out(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
    give_up: &GiveUp,
    plan: Result<Plan, PromotionError>,
) -> Result<Progress, PromotionError> {
    let PromotionState::Applying { tagging_since, .. } = &promotion.state else {
        return Ok(Progress::Idle);
    };
    let stands = match tagging_since {
        None => None,
        Some(_) if !is_over(ground, give_up) => return wait(ground, promotion, give_up).await,
        Some(_) => {
            let read = match plan {
                Ok(plan) => Stands::read(ground, hands, promotion, &plan).await,
                Err(error) => Err(error),
            };
            Some(match read {
                Err(error) if may_be_read_later(&error) => return Err(error),
                Err(error) => Stands::undetermined(&error),
                Ok(stands) => stands,
            })
        }
    };
    let (ground_in, id, give_up) = (ground.clone(), promotion.id.clone(), give_up.clone());
    ground
        .db
        .write("promotion.given-up", move |conn| {
            Box::pin(async move {
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(Progress::Idle);
                };
                let left = match &stands {
                    Some(stands) => stands.to_string(),
                    // Another orchestrator may have begun with the tags meanwhile.
                    None if promotion.state.may_have_tags() => return Ok(Progress::Idle),
                    None => match left_behind(conn, &promotion).await {
                        Err(error) if may_be_read_later(&error) => return Err(error),
                        Err(_) => NOTHING_KNOWN.to_owned(),
                        Ok(left) => left,
                    },
                };
                let (by, reason) = (&give_up.by, &give_up.reason);
                let event = Event::GivenUp {
                    cause: format!("given up by {by} ({reason}). {left}"),
                    at: ground_in.now().0,
                };
                if !end(conn, &ground_in, &promotion, event, &Actor::System).await? {
                    return Ok(Progress::Idle);
                }
                if stands.is_some_and(|stands| stands.is_mixed) {
                    let environment = promotion.environment.as_str();
                    store::displace(conn, &promotion.project_id, environment).await?;
                }
                Ok(Progress::Moved)
            })
        })
        .await
}

/// A database that is away says nothing of what stands; a row that no code of ours has written stays as it is.
fn may_be_read_later(error: &PromotionError) -> bool {
    let inconsistent = matches!(
        error,
        PromotionError::Db(Inconsistent { .. })
            | PromotionError::Gate(GateError::Db(Inconsistent { .. }))
    );
    error.is_transient() && !inconsistent
}

fn is_over(ground: &Ground, give_up: &GiveUp) -> bool {
    ground.now().0.saturating_sub(give_up.at) >= micros(UNDER_WAY_MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

async fn wait(
    ground: &Ground,
    promotion: &Promotion,
    give_up: &GiveUp,
) -> Result<Progress, PromotionError> {
    let minutes = UNDER_WAY_MAX.as_secs() / 60;
    let text = format!(
        "given up by {} ({}); it ends {minutes} minutes after that, with the tags that stand then",
        give_up.by, give_up.reason
    );
    let id = promotion.id.clone();
    ground
        .db
        .write("promotion.not-applied", move |conn| {
            Box::pin(async move {
                store::set_progress(conn, &id, &text).await?;
                Ok(Progress::Idle)
            })
        })
        .await
}

/// What stands of a promotion's tags.
#[derive(Clone, Default)]
struct Stands {
    /// Those that name what was to enter.
    there: Vec<String>,
    /// Those that could not be read.
    unknown: Vec<String>,
    /// Why it could not be told which they are at all.
    untold: Option<String>,
    /// Whether what the environment holds is no longer whole there, or that is not known.
    is_mixed: bool,
}

impl Stands {
    fn undetermined(error: &PromotionError) -> Self {
        Self {
            untold: Some(crate::reconcile::problem(error)),
            is_mixed: true,
            ..Self::default()
        }
    }

    async fn read(
        ground: &Ground,
        hands: &Hands,
        promotion: &Promotion,
        plan: &Plan,
    ) -> Result<Self, PromotionError> {
        let held = held(ground, promotion).await?;
        let mut stands = Self::default();
        for (tag, image, target) in plan.tags() {
            let follows = tag.as_str() == CURRENT;
            let as_before = follows && held.get(&image.name) == Some(&image.digest);
            let read = hands
                .registry
                .manifest_of_tag(&target.repository, tag)
                .await;
            let text = format!("{}:{}", target.repository, tag.as_str());
            match read {
                _ if as_before => {}
                Ok(Some(manifest)) if manifest.digest == image.digest => {
                    stands.there.push(text);
                    stands.is_mixed |= follows;
                }
                Ok(Some(_) | None) => {}
                Err(error) => {
                    let problem = crate::reconcile::problem(&error);
                    tracing::warn!(promotion.id = %promotion.id, error = problem, "a tag of what was given up");
                    stands.unknown.push(text);
                    stands.is_mixed |= follows;
                }
            }
        }
        Ok(stands)
    }
}

/// The images of the release that the environment holds.
async fn held(
    ground: &Ground,
    promotion: &Promotion,
) -> Result<BTreeMap<Name, Digest>, PromotionError> {
    let mut conn = ground.db.reader().await?;
    let (project, environment) = (&promotion.project_id, promotion.environment.as_str());
    let placed = store::in_environment(&mut conn, project, environment).await?;
    let id = placed.and_then(|placed| ReleaseId::parse(&placed.release_id).ok());
    let release = match id {
        Some(id) => image::release(&mut conn, &id).await?,
        None => None,
    };
    let images = release.into_iter().flat_map(|release| release.images);
    Ok(images.map(|(name, image)| (name, image.digest)).collect())
}

impl std::fmt::Display for Stands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.untold, self.there.as_slice()) {
            (Some(why), _) => write!(f, "Its tags could not be determined and may stand: {why}")?,
            (None, []) => f.write_str("No tag of it was found")?,
            (None, some) => write!(f, "These tags of it stand: {}", some.join(", "))?,
        }
        if !self.unknown.is_empty() {
            let unknown = self.unknown.join(", ");
            write!(f, "; these could not be read and may stand: {unknown}")?;
        }
        if self.is_mixed {
            f.write_str(". No release is whole in the environment until the next promotion")?;
        }
        f.write_str(".")
    }
}
