//! Moves exactly the decided digests: copy, attestations, signature, and reads all back; then the tags.
//! Each part may be repeated; a crash anywhere is mended by the next pass.
//!
//! A registry may be away for days: at each attempt, and in the transaction that writes down that tags may
//! be there, the gate is asked again, and what it no longer lets through ends with its reasons. Until then a
//! failure that does not mend itself ends the promotion, too, and its environment is free for others; from
//! then on it only goes on.

use super::advance::{advance, end_overtaken};
use super::give_up;
use super::judge_again::{begin_tags, stop_if_closed};
use super::state::{Event, Hands, Promotion, PromotionError, PromotionState};
use super::store;
use crate::approval::{self, ApprovalState};
use crate::attestation::{self, Signature};
use crate::audit::{self, Record};
use crate::gate;
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, Image};
use crate::reconcile::Progress;
use crate::registry::{Manifest, RegistryError, Tag};
use crate::signing::Grounds;
use evidence::decision::{Decision, Target};

/// The tag that follows what the environment holds; nobody compares it.
pub(super) const CURRENT: &str = "current";

/// Applies a promotion whose gate let it through.
pub(super) async fn apply(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
) -> Result<Progress, PromotionError> {
    let PromotionState::Applying {
        decision_id,
        tagging_since,
        ..
    } = &promotion.state
    else {
        return Ok(Progress::Idle);
    };
    let plan = read(ground, promotion, decision_id).await;
    // Also what cannot be read any more can be given up.
    if let Some(wish) = &promotion.give_up {
        return give_up::carry_out(ground, hands, promotion, wish, plan).await;
    }
    let plan = plan?;
    if tagging_since.is_none() {
        // What its gate no longer lets through is not signed for the environment either.
        if let Some(ended) = stop_if_closed(ground, promotion, &plan.decision).await? {
            return Ok(ended);
        }
        for (image, target) in &plan.images {
            move_image(ground, hands, promotion, &plan, image, target).await?;
        }
        if let Some(ended) = begin_tags(ground, promotion, &plan.decision).await? {
            return Ok(ended);
        }
    }
    for (tag, image, target) in plan.tags() {
        // Whoever gives it up finds a registry in which no further tag appears.
        if store::is_given_up(&mut ground.db.reader().await?, &promotion.id).await? {
            return Ok(Progress::Idle);
        }
        let manifest = manifest(image);
        let tagged = hands.registry.tag(&target.repository, tag, &manifest);
        tagged.await.map_err(|source| registry(promotion, source))?;
    }
    settle(ground, promotion).await
}

fn manifest(image: &Image) -> Manifest {
    Manifest {
        bytes: image.manifest.clone(),
        digest: image.digest,
        media_type: image.media_type.clone(),
    }
}

/// What is to be moved, and why it may.
pub(super) struct Plan {
    decision: Decision,
    approvals: Vec<String>,
    images: Vec<(Image, Target)>,
    tags: [Tag; 2],
}

impl Plan {
    /// All tags, in the order in which they are written: first each image's own, then those that follow
    /// what the environment holds.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&Tag, &Image, &Target)> {
        let of = |tag| {
            self.images
                .iter()
                .map(move |(image, target)| (tag, image, target))
        };
        self.tags.iter().flat_map(of)
    }
}

pub(super) async fn read(
    ground: &Ground,
    promotion: &Promotion,
    decision_id: &str,
) -> Result<Plan, PromotionError> {
    let missing = |what| PromotionError::Missing {
        what,
        id: promotion.id.clone(),
    };
    let mut conn = ground.db.reader().await?;
    let decision = gate::decision(&mut conn, decision_id).await?;
    let decision = decision.ok_or_else(|| missing("the decision"))?;
    let release = image::release(&mut conn, &promotion.release_id).await?;
    let release = release.ok_or_else(|| missing("the release"))?;
    let mut images = Vec::with_capacity(decision.images.len());
    for (name, target) in &decision.images {
        let own = release
            .images
            .get(name)
            .filter(|own| own.digest == target.digest);
        let own = own.ok_or_else(|| missing("a decided image"))?;
        let image = image::image(&mut conn, &own.image_id).await?;
        images.push((image.ok_or_else(|| missing("an image"))?, target.clone()));
    }
    let run_number = store::run_number(&mut conn, &release.run_id).await?;
    let run_number = run_number.ok_or_else(|| missing("the run"))?;
    let tags = [
        Tag::parse(&format!("run-{run_number}")),
        Tag::parse(CURRENT),
    ];
    let [Some(own), Some(current)] = tags else {
        return Err(missing("a tag"));
    };
    let standing = approval::standing(&mut conn, promotion.id.as_str()).await?;
    let used = standing
        .into_iter()
        .filter(|approval| matches!(approval.state, ApprovalState::Used { .. }));
    Ok(Plan {
        decision,
        approvals: used
            .filter_map(|approval| String::from_utf8(approval.bytes).ok())
            .collect(),
        images,
        tags: [own, current],
    })
}

fn registry(promotion: &Promotion, source: RegistryError) -> PromotionError {
    PromotionError::Registry {
        id: promotion.id.clone(),
        source,
    }
}

async fn move_image(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
    plan: &Plan,
    image: &Image,
    target: &Target,
) -> Result<(), PromotionError> {
    let failed = |source| registry(promotion, source);
    let to = &target.repository;
    let manifest = hands
        .registry
        .copy(&image.repository, to, &image.digest)
        .await
        .map_err(failed)?;
    let mut conn = ground.db.reader().await?;
    let envelopes = store::attestations(&mut conn, image.id.as_str()).await?;
    drop(conn);
    for (predicate_type, envelope) in &envelopes {
        let attached = hands
            .registry
            .attach_attestation(to, &manifest, envelope, predicate_type);
        attached.await.map_err(failed)?;
    }
    sign(ground, hands, promotion, plan, image, target).await
}

/// The signature for the environment's own reference; never the one of quarantine.
async fn sign(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
    plan: &Plan,
    image: &Image,
    target: &Target,
) -> Result<(), PromotionError> {
    let failed = |source| PromotionError::Signature {
        id: promotion.id.clone(),
        source,
    };
    let mut conn = ground.db.reader().await?;
    let signatures = attestation::signatures_of_image(&mut conn, &image.id).await?;
    drop(conn);
    let here = |signature: &Signature| signature.repository == target.repository;
    let signature = signatures.into_iter().find(here);
    let signature = signature.ok_or_else(|| PromotionError::Missing {
        what: "the signature's intent",
        id: promotion.id.clone(),
    })?;
    let signature = if signature.state.signed().is_some() {
        signature
    } else {
        let grounds = Grounds::Promotion {
            decision: plan.decision.clone(),
            approvals: plan.approvals.clone(),
        };
        let signed =
            attestation::sign_and_keep(ground, &hands.signer, signature, image, grounds).await;
        signed.map_err(failed)?
    };
    let published =
        attestation::publish_signature(ground, &hands.registry, &signature, image).await;
    published.map(drop).map_err(failed)
}

/// It is in the environment; older ones that waited for the same place are superseded.
async fn settle(ground: &Ground, promotion: &Promotion) -> Result<Progress, PromotionError> {
    let (ground_in, id) = (ground.clone(), promotion.id.clone());
    ground
        .db
        .write("promotion.applied", move |conn| {
            Box::pin(async move {
                let at = ground_in.now();
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(Progress::Idle);
                };
                let version = promotion.settings_version;
                if !advance(conn, &promotion, Event::Tagged { at: at.0 }, version).await? {
                    return Ok(Progress::Idle);
                }
                store::place(conn, &promotion, at).await?;
                let subject = format!("promotion:{}", promotion.id);
                let record = Record::new("promotion.applied", subject, &Actor::System)
                    .project(&promotion.project_id)
                    .with("environment", promotion.environment.as_str())
                    .with("release", promotion.release_id.as_str());
                audit::append(conn, at, &*ground_in.ids, record).await?;
                for overtaken in store::overtaken(conn, &promotion).await? {
                    let cause = format!("promotion {} brought a later release", promotion.number);
                    end_overtaken(conn, &ground_in, &overtaken, cause).await?;
                }
                Ok(Progress::Moved)
            })
        })
        .await
}
