//! Moves exactly the decided digests: copy, attestations, signature, then the tags, and reads all back.
//! Each part may be repeated; a crash anywhere is mended by the next pass.

use super::state::{Hands, Promotion, PromotionError};
use super::store::{self, SignatureRow};
use crate::approval;
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
const CURRENT: &str = "current";

/// Applies a promotion whose gate let it through.
pub(super) async fn apply(
    ground: &Ground,
    hands: &Hands,
    promotion: &Promotion,
    decision_id: &str,
) -> Result<Progress, PromotionError> {
    let missing = |what| PromotionError::Missing {
        what,
        id: promotion.id.clone(),
    };
    let plan = read(ground, promotion, decision_id).await?;
    let tag = Tag::parse(&format!("run-{}", plan.run_number)).ok_or_else(|| missing("a tag"))?;
    let mut copied = Vec::with_capacity(plan.images.len());
    for (image, target) in &plan.images {
        copied.push((
            target,
            move_image(ground, hands, promotion, &plan, image, target).await?,
        ));
    }
    let current = Tag::parse(CURRENT).ok_or_else(|| missing("a tag"))?;
    for tag in [&tag, &current] {
        for (target, manifest) in &copied {
            let tagged = hands.registry.tag(&target.repository, tag, manifest).await;
            tagged.map_err(|source| registry(promotion, source))?;
        }
    }
    settle(ground, promotion).await
}

/// What is to be moved, and why it may.
struct Plan {
    decision: Decision,
    approvals: Vec<String>,
    images: Vec<(Image, Target)>,
    run_number: i64,
}

async fn read(
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
    let standing = approval::standing(&mut conn, promotion.id.as_str()).await?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    Ok(Plan {
        decision,
        approvals: standing
            .into_iter()
            .filter_map(|approval| text(approval.bytes))
            .collect(),
        images,
        run_number: run_number.ok_or_else(|| missing("the run"))?,
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
) -> Result<Manifest, PromotionError> {
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
    sign(ground, hands, promotion, plan, image, target).await?;
    Ok(manifest)
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
    let missing = PromotionError::Missing {
        what: "the signature's intent",
        id: promotion.id.clone(),
    };
    let mut conn = ground.db.reader().await?;
    let row = store::signature_of(&mut conn, image.id.as_str(), target.repository.as_str()).await?;
    drop(conn);
    let SignatureRow {
        id,
        payload,
        signature,
    } = row.ok_or(missing)?;
    let signature = match signature {
        Some(signature) => signature,
        None => {
            let grounds = Grounds::Promotion {
                decision: plan.decision.clone(),
                approvals: plan.approvals.clone(),
            };
            let signed = hands
                .signer
                .sign_image(&id, &payload, &image.manifest, grounds)
                .await;
            let signed = signed.map_err(|source| PromotionError::Signing {
                id: promotion.id.clone(),
                source,
            })?;
            let (at, row, bytes) = (ground.now(), id.clone(), signed.signature.clone());
            ground
                .db
                .write("promotion.signed", move |conn| {
                    Box::pin(async move {
                        store::set_signed(conn, &row, &bytes, &signed.key_id, at).await?;
                        Ok::<(), PromotionError>(())
                    })
                })
                .await?;
            signed.signature
        }
    };
    let published = hands
        .registry
        .publish_signature(&target.repository, &image.digest, &payload, &signature)
        .await
        .map_err(|source| registry(promotion, source))?;
    let at = ground.now();
    ground
        .db
        .write("promotion.signature-published", move |conn| {
            Box::pin(async move {
                store::set_signature_published(conn, &id, &published.to_string(), at).await?;
                Ok::<(), PromotionError>(())
            })
        })
        .await
}

/// It is in the environment; older ones that waited for the same place are superseded.
async fn settle(ground: &Ground, promotion: &Promotion) -> Result<Progress, PromotionError> {
    let (ground_in, promotion) = (ground.clone(), promotion.clone());
    ground
        .db
        .write("promotion.applied", move |conn| {
            Box::pin(async move {
                let at = ground_in.now();
                if !store::set_applied(conn, &promotion.id, at).await? {
                    return Ok(Progress::Idle);
                }
                store::place(conn, &promotion, at).await?;
                let record = |kind, id: &str| {
                    Record::new(kind, format!("promotion:{id}"), &Actor::System)
                        .project(&promotion.project_id)
                        .with("environment", promotion.environment.as_str())
                };
                let own = record("promotion.applied", promotion.id.as_str())
                    .with("release", promotion.release_id.as_str());
                audit::append(conn, at, &*ground_in.ids, own).await?;
                for id in store::overtaken(conn, &promotion).await? {
                    let Ok(overtaken) = super::PromotionId::parse(&id) else {
                        continue;
                    };
                    let cause = format!("promotion {} brought a later release", promotion.number);
                    store::set_ended(conn, &overtaken, "superseded", &cause, at).await?;
                    audit::append(
                        conn,
                        at,
                        &*ground_in.ids,
                        record("promotion.superseded", &id),
                    )
                    .await?;
                }
                Ok(Progress::Moved)
            })
        })
        .await
}
