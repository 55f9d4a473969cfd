//! The table of contents: one line a stage, in order, with what wakes it and which hands it is given.

use crate::app::App;
use crate::blob::Blobs;
use crate::ground::Ground;
use crate::lifecycle::Tasks;
use crate::reconcile::{Bell, Gong, Lanes, Progress, Stage};
use crate::{attestation, delivery, finding, image, promotion, run, step, trigger};
use futures::future::BoxFuture;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One bell a stage: whoever writes what a stage finds rings it.
#[derive(Clone, Default)]
pub struct Bells {
    /// A delivery was stored.
    pub trigger: Bell,
    /// A trigger says start.
    pub run: Bell,
    /// A run or step changed.
    pub step: Bell,
    /// A build was reported.
    pub image: Bell,
    /// Reports were stored.
    pub finding: Bell,
    /// A run finished.
    pub attestation: Bell,
    /// Evidence changed.
    pub promotion: Bell,
    /// A step became ready: claims that wait look again.
    pub claim: Gong,
}

/// What `step` asks of later rooms, plugged together.
pub fn step_hands(
    ground: &Ground,
    blobs: &Blobs,
    data_dir: &Path,
    bells: &Bells,
    instance_id: &str,
) -> step::Hands {
    step::Hands {
        blobs: blobs.clone(),
        logs: step::Logs::new(&data_dir.join("logs")),
        images: Arc::new(image::StoredObservations),
        verdicts: Arc::new(finding::StoredVerdicts),
        claims: bells.claim.clone(),
        instance_id: instance_id.to_owned(),
        up_since: ground.now(),
    }
}

/// A pass waits so long for its lanes; those of repositories that hang go on without it.
const LANES_PATIENCE: Duration = Duration::from_secs(2);

/// The lanes of a stage whose items ask repositories; `late` hear of those that a pass did not wait for.
pub fn lanes(tasks: &Tasks, late: &[&Bell]) -> Lanes {
    let late = late.iter().map(|bell| (*bell).clone()).collect();
    Lanes::new(tasks, LANES_PATIENCE, late)
}

/// What `attestation` is given: it may sign, write beside images, read SBOMs.
pub fn attestation_hands(app: &App) -> attestation::Hands<'_> {
    attestation::Hands {
        signer: &app.signer,
        registry: &app.registry,
        blobs: &app.blobs,
        public_url: &app.config.server.public_url,
    }
}

/// The stages, in the order of the flow.
pub fn stages(app: &Arc<App>) -> Vec<Stage> {
    let b = &app.bells;
    vec![
        stage(app, "delivery", 5, &Bell::default(), &[], |a| {
            Box::pin(async move { Ok(delivery::pass(&a.intake).await?) })
        }),
        stage(app, "trigger", 5, &b.trigger, &[&b.run], |a| {
            Box::pin(async move { Ok(trigger::pass(&a.ground, &a.triggers).await?) })
        }),
        stage(app, "run", 5, &b.run, &[&b.step], |a| {
            Box::pin(async move { Ok(run::pass(&a.ground, &a.runs).await?) })
        }),
        stage(
            app,
            "step",
            1,
            &b.step,
            &[&b.image, &b.finding, &b.attestation],
            |a| Box::pin(async move { Ok(step::pass(&a.ground, &a.steps).await?) }),
        ),
        stage(
            app,
            "image",
            5,
            &b.image,
            &[&b.step, &b.attestation, &b.promotion],
            |a| Box::pin(async move { Ok(image::pass(&a.ground, &a.registry).await?) }),
        ),
        stage(
            app,
            "finding",
            5,
            &b.finding,
            &[&b.step, &b.promotion],
            |a| Box::pin(async move { Ok(finding::pass(&a.ground, &a.blobs).await?) }),
        ),
        stage(
            app,
            "attestation",
            5,
            &b.attestation,
            &[&b.promotion],
            |a| {
                Box::pin(async move {
                    let hands = attestation_hands(&a);
                    Ok(attestation::pass(&a.ground, &hands).await?)
                })
            },
        ),
        stage(app, "promotion", 5, &b.promotion, &[], |a| {
            Box::pin(async move { Ok(promotion::pass(&a.ground, &a.promotions).await?) })
        }),
    ]
}

type PassOf = fn(Arc<App>) -> BoxFuture<'static, Result<Progress, anyhow::Error>>;

fn stage(
    app: &Arc<App>,
    name: &'static str,
    every_secs: u64,
    bell: &Bell,
    wakes: &[&Bell],
    pass: PassOf,
) -> Stage {
    let app = Arc::clone(app);
    app.health.expect(name);
    Stage {
        name,
        health: app.health.clone(),
        every: Duration::from_secs(every_secs),
        bell: bell.clone(),
        wakes: wakes.iter().map(|bell| (*bell).clone()).collect(),
        pass: Box::new(move || pass(Arc::clone(&app))),
    }
}
