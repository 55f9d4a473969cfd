//! The pass: says what is known of the images of releases, has it signed, puts it into the registry.
//!
//! Each item goes intended → signed → published, each state committed before the next act: a crash
//! repeats one act with the same bytes and the same request id.

use super::state::{
    Attestation, AttestationError, AttestationId, Event, Kind, Signature, SignatureId, Signed,
    State,
};
use super::{publish, sign, statement, store};
use crate::audit::{self, Record};
use crate::blob::Blobs;
use crate::clock::At;
use crate::ground::Ground;
use crate::identity::Actor;
use crate::image::{self, Image, ImageId};
use crate::project;
use crate::reconcile::{Progress, problem};
use crate::registry::Registry;
use crate::signing::{Grounds, PassedRun, SignerClient};
use contract::digest::Digest;
use evidence::cosign::Payload;
use evidence::decision::Target;
use std::collections::BTreeMap;
use std::fmt;

/// Items of one pass; the rest waits for the next. Far more than can be stuck at a time, so that those
/// do not stand in the others' way.
const ITEMS_MAX: i64 = 1_000;

/// What the room is given.
pub struct Hands<'a> {
    /// Signs.
    pub signer: &'a SignerClient,
    /// Holds the images.
    pub registry: &'a Registry,
    /// Holds the SBOMs.
    pub blobs: &'a Blobs,
    /// This instance's address.
    pub public_url: &'a str,
}

/// States, signs and publishes. One bad image does not stop the others.
pub async fn pass(ground: &Ground, hands: &Hands<'_>) -> Result<Progress, AttestationError> {
    let mut progress = Progress::Idle;
    let waiting = store::waiting(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    for id in waiting {
        let intended = intend(ground, hands, &id).await;
        progress = progress.or(noted(ground, &Item::Image(id), intended).await?);
    }
    let open = store::open_attestations(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    for id in open {
        let advanced = advance_attestation(ground, hands, &id).await;
        progress = progress.or(noted(ground, &Item::Attestation(id), advanced).await?);
    }
    let open = store::open_signatures(&mut ground.db.reader().await?, ITEMS_MAX).await?;
    for signature in open {
        let item = Item::Signature(signature.id.clone());
        let advanced = advance_signature(ground, hands, signature).await;
        progress = progress.or(noted(ground, &item, advanced).await?);
    }
    Ok(progress)
}

/// What a pass works on.
#[derive(Clone)]
enum Item {
    Image(ImageId),
    Attestation(AttestationId),
    Signature(SignatureId),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(id) => write!(f, "image {id}"),
            Self::Attestation(id) => write!(f, "attestation {id}"),
            Self::Signature(id) => write!(f, "signature {id}"),
        }
    }
}

/// Logs what could not be done and keeps it beside the row, where a gate shows it: a signature that does
/// not come blocks, and people see why. The next pass tries again.
async fn noted(
    ground: &Ground,
    item: &Item,
    result: Result<Progress, AttestationError>,
) -> Result<Progress, AttestationError> {
    let error = match result {
        Ok(progress) => return Ok(progress),
        Err(error) => error,
    };
    let problem = problem(&error);
    tracing::warn!(what = %item, error = problem, "not attested yet");
    let item = item.clone();
    ground
        .db
        .write("attestation.note", move |conn| {
            Box::pin(async move {
                match &item {
                    // Nothing is written about it yet that a note could stand beside.
                    Item::Image(_) => {}
                    Item::Attestation(id) => store::note_attestation(conn, id, &problem).await?,
                    Item::Signature(id) => store::note_signature(conn, id, &problem).await?,
                }
                Ok::<_, AttestationError>(Progress::Idle)
            })
        })
        .await
}

/// Fixes the texts of all that will be said about one image.
async fn intend(
    ground: &Ground,
    hands: &Hands<'_>,
    id: &ImageId,
) -> Result<Progress, AttestationError> {
    let image = the_image(ground, id).await?;
    let off = |problem: String| AttestationError::Facts {
        image: id.to_string(),
        problem,
    };
    let (facts, sbom_digest) = {
        let mut conn = ground.db.reader().await?;
        let settings = store::settings_of(&mut conn, id).await?;
        let (project_id, version) = settings.ok_or_else(|| off("no run".to_owned()))?;
        let settings = project::settings_at(&mut conn, &project_id, version).await?;
        let settings = settings.ok_or_else(|| off(format!("no settings of version {version}")))?;
        let (url, apart) = (hands.public_url, hands.signer.is_apart());
        let facts = store::facts(&mut conn, id, &settings.settings.git, url, apart).await?;
        (
            facts.ok_or_else(|| off("no report".to_owned()))?,
            store::sbom_of(&mut conn, id).await?,
        )
    };
    let attestation = |kind, statement| Attestation {
        id: AttestationId::new(&*ground.ids),
        project_id: image.project_id.clone(),
        image_id: image.id.clone(),
        kind,
        statement,
        state: State::Intended,
    };
    let provenance = statement::provenance(&facts, &image).map_err(off)?;
    let mut attestations = vec![attestation(Kind::Provenance, provenance)];
    if let Some(digest) = sbom_digest {
        let document = hands.blobs.get(&digest).await;
        let document = document.map_err(|source| AttestationError::Sbom {
            image: id.to_string(),
            source,
        })?;
        let name = image.repository.as_str();
        let statement = evidence::statement::sbom(name, image.digest, &document)
            .map_err(|e| off(e.to_string()))?;
        attestations.push(attestation(Kind::Sbom, statement));
    }
    let signature = intended_signature(ground, &image);
    settle_intent(ground, image.run_id, attestations, signature).await
}

async fn settle_intent(
    ground: &Ground,
    run_id: String,
    attestations: Vec<Attestation>,
    signature: Signature,
) -> Result<Progress, AttestationError> {
    let at = ground.now();
    ground
        .db
        .write("attestation.intend", move |conn| {
            Box::pin(async move {
                for attestation in &attestations {
                    if !store::intend_attestation(conn, attestation, &run_id, at).await? {
                        return Ok(Progress::Idle);
                    }
                }
                store::intend_signature(conn, &signature, at).await?;
                Ok(Progress::Moved)
            })
        })
        .await
}

/// In quarantine; for an environment's reference `promotion` intends one.
fn intended_signature(ground: &Ground, image: &Image) -> Signature {
    let payload = Payload {
        repository: image.repository.clone(),
        digest: image.digest,
    };
    Signature {
        id: SignatureId::new(&*ground.ids),
        image_id: image.id.clone(),
        repository: image.repository.clone(),
        promotion_id: None,
        payload: payload.to_bytes(),
        state: State::Intended,
    }
}

async fn advance_attestation(
    ground: &Ground,
    hands: &Hands<'_>,
    id: &AttestationId,
) -> Result<Progress, AttestationError> {
    let found = store::attestation(&mut ground.db.reader().await?, id).await?;
    let Some(attestation) = found else {
        return Ok(Progress::Idle);
    };
    let image = the_image(ground, &attestation.image_id).await?;
    let attestation = match &attestation.state {
        State::Intended => {
            let signed = sign::attestation(ground, hands, attestation, &image).await?;
            keep_signed_attestation(ground, signed.clone(), &image).await?;
            signed
        }
        State::Signed(_) => attestation,
        State::Published { .. } => return Ok(Progress::Idle),
    };
    let Some(signed) = attestation.state.signed() else {
        return Ok(Progress::Idle);
    };
    let manifest = publish::attestation(hands.registry, &attestation, signed, &image).await?;
    let at = ground.now();
    published(
        &format!("attestation {}", attestation.id),
        attestation.state,
        manifest,
        at,
    )?;
    let id = attestation.id;
    ground
        .db
        .write("attestation.publish", move |conn| {
            Box::pin(async move {
                store::publish_attestation(conn, &id, &manifest, at).await?;
                Ok::<_, AttestationError>(Progress::Moved)
            })
        })
        .await
}

async fn keep_signed_attestation(
    ground: &Ground,
    attestation: Attestation,
    image: &Image,
) -> Result<(), AttestationError> {
    let Some(signed) = attestation.state.signed().cloned() else {
        return Ok(());
    };
    let record = Record::new(
        "attestation.signed",
        format!("attestation:{}", attestation.id),
        &Actor::System,
    )
    .project(&attestation.project_id)
    .with("kind", attestation.kind.as_str())
    .with("image", image.digest.to_string())
    .with("statement", Digest::of(&attestation.statement).to_string())
    .with("key", signed.key_id.as_str());
    let (at, ids, id) = (ground.now(), ground.ids.clone(), attestation.id);
    ground
        .db
        .write("attestation.sign", move |conn| {
            Box::pin(async move {
                if store::sign_attestation(conn, &id, &signed).await? {
                    audit::append(conn, at, &*ids, record).await?;
                }
                Ok::<(), AttestationError>(())
            })
        })
        .await
}

async fn advance_signature(
    ground: &Ground,
    hands: &Hands<'_>,
    signature: Signature,
) -> Result<Progress, AttestationError> {
    let image = the_image(ground, &signature.image_id).await?;
    let signature = if signature.state == State::Intended {
        let grounds = quarantine_grounds(ground, &image).await?;
        sign_and_keep(ground, hands.signer, signature, &image, grounds).await?
    } else {
        signature
    };
    publish_signature(ground, hands.registry, &signature, &image).await?;
    Ok(Progress::Moved)
}

/// In quarantine a signature stands on the run: it passed, and these are its images.
async fn quarantine_grounds(ground: &Ground, image: &Image) -> Result<Grounds, AttestationError> {
    let mut conn = ground.db.reader().await?;
    let (project, cause) = store::run_of(&mut conn, &image.run_id)
        .await?
        .ok_or_else(|| gone(image))?;
    let images = image::images_of_run(&mut conn, &image.run_id).await?;
    let images: BTreeMap<_, _> = images
        .into_iter()
        .map(|image| {
            let target = Target {
                repository: image.repository,
                digest: image.digest,
            };
            (image.name, target)
        })
        .collect();
    Ok(Grounds::Run(PassedRun {
        project,
        run: image.run_id.clone(),
        cause,
        images,
    }))
}

/// Has an intended signature made, believes it only when it holds, and keeps it: of an image in
/// quarantine, or of one for an environment's reference, which `promotion` asks for on its own grounds.
pub async fn sign_and_keep(
    ground: &Ground,
    signer: &SignerClient,
    signature: Signature,
    image: &Image,
    grounds: Grounds,
) -> Result<Signature, AttestationError> {
    let signature = sign::signature(ground, signer, signature, image, grounds).await?;
    let Some(signed) = signature.state.signed().cloned() else {
        return Ok(signature);
    };
    let record = signed_record(&signature, &signed, image);
    let (at, ids, id) = (ground.now(), ground.ids.clone(), signature.id.clone());
    ground
        .db
        .write("attestation.sign-image", move |conn| {
            Box::pin(async move {
                if store::sign_signature(conn, &id, &signed).await? {
                    audit::append(conn, at, &*ids, record).await?;
                }
                Ok::<(), AttestationError>(())
            })
        })
        .await?;
    Ok(signature)
}

fn signed_record(signature: &Signature, signed: &Signed, image: &Image) -> Record {
    let subject = format!("signature:{}", signature.id);
    let record = Record::new("image.signed", subject, &Actor::System)
        .project(&image.project_id)
        .with("image", image.digest.to_string())
        .with("reference", signature.repository.as_str())
        .with("key", signed.key_id.as_str());
    match &signature.promotion_id {
        Some(promotion) => record.with("promotion", promotion.as_str()),
        None => record,
    }
}

/// Puts a signature that was made under its reference, and reads it back.
pub async fn publish_signature(
    ground: &Ground,
    registry: &Registry,
    signature: &Signature,
    image: &Image,
) -> Result<Digest, AttestationError> {
    let signed = signature.state.signed().ok_or_else(|| gone(image))?;
    let manifest = publish::signature(registry, signature, signed, image).await?;
    let at = ground.now();
    published(
        &format!("signature {}", signature.id),
        signature.state.clone(),
        manifest,
        at,
    )?;
    let id = signature.id.clone();
    ground
        .db
        .write("attestation.publish-signature", move |conn| {
            Box::pin(async move {
                store::publish_signature(conn, &id, &manifest, at).await?;
                Ok::<(), AttestationError>(())
            })
        })
        .await?;
    Ok(manifest)
}

/// Refuses another manifest for what is in the registry already.
fn published(
    what: &str,
    state: State,
    manifest: Digest,
    at: At,
) -> Result<State, AttestationError> {
    state
        .after(Event::Published { manifest, at: at.0 })
        .map_err(|source| AttestationError::Transition {
            what: what.to_owned(),
            source,
        })
}

async fn the_image(ground: &Ground, id: &ImageId) -> Result<Image, AttestationError> {
    let image = image::image(&mut ground.db.reader().await?, id).await?;
    image.ok_or_else(|| AttestationError::Facts {
        image: id.to_string(),
        problem: "it is not there".to_owned(),
    })
}

fn gone(image: &Image) -> AttestationError {
    AttestationError::Facts {
        image: image.id.to_string(),
        problem: "what was written about it is gone".to_owned(),
    }
}
