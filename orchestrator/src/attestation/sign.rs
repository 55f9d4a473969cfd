//! Asks the signer, and believes its answer only when it holds under a key that init recorded.

use super::reconcile::Hands;
use super::state::{Attestation, AttestationError, Event, Signature, Signed, State};
use super::verify::{attestation_holds, signature_holds, trusted};
use crate::ground::Ground;
use crate::image::Image;
use crate::signing::{Grounds, KeyRole, SignerClient};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::dsse::{self, Envelope};
use evidence::names;

/// Has a statement signed: the attestation with its envelope.
pub(super) async fn attestation(
    ground: &Ground,
    hands: &Hands<'_>,
    mut attestation: Attestation,
    image: &Image,
) -> Result<Attestation, AttestationError> {
    let what = format!("attestation {}", attestation.id);
    let answer = hands
        .signer
        .sign_statement(
            attestation.id.as_str(),
            &attestation.statement,
            &image.manifest,
        )
        .await
        .map_err(|source| AttestationError::Sign {
            what: what.clone(),
            source,
        })?;
    let envelope = Envelope {
        payload: STANDARD.encode(&attestation.statement),
        payload_type: names::IN_TOTO.to_owned(),
        signatures: vec![dsse::Signature {
            keyid: answer.key_id.clone(),
            sig: STANDARD.encode(&answer.signature),
        }],
    };
    let unverified = |problem: String| AttestationError::Unverified {
        what: what.clone(),
        role: KeyRole::Provenance.as_str(),
        problem,
    };
    let bytes = serde_json::to_vec(&envelope).map_err(|e| unverified(e.to_string()))?;
    attestation.state = signed(&what, attestation.state, bytes, answer.key_id, ground)?;
    let keys = trusted(&mut ground.db.reader().await?, KeyRole::Provenance).await?;
    attestation_holds(&attestation, image, &keys).map_err(unverified)?;
    Ok(attestation)
}

/// Has a payload signed: the signature with its DER.
pub(super) async fn signature(
    ground: &Ground,
    signer: &SignerClient,
    mut signature: Signature,
    image: &Image,
    grounds: Grounds,
) -> Result<Signature, AttestationError> {
    let what = format!("signature {}", signature.id);
    let answer = signer
        .sign_image(
            signature.id.as_str(),
            &signature.payload,
            &image.manifest,
            grounds,
        )
        .await
        .map_err(|source| AttestationError::Sign {
            what: what.clone(),
            source,
        })?;
    let (bytes, key_id) = (answer.signature, answer.key_id);
    signature.state = signed(&what, signature.state, bytes, key_id, ground)?;
    let keys = trusted(&mut ground.db.reader().await?, KeyRole::Release).await?;
    signature_holds(&signature, image, &keys).map_err(|problem| AttestationError::Unverified {
        what,
        role: KeyRole::Release.as_str(),
        problem,
    })?;
    Ok(signature)
}

fn signed(
    what: &str,
    state: State,
    bytes: Vec<u8>,
    key_id: String,
    ground: &Ground,
) -> Result<State, AttestationError> {
    let at = ground.now().0;
    state
        .after(Event::Signed(Signed { bytes, key_id, at }))
        .map_err(|source| AttestationError::Transition {
            what: what.to_owned(),
            source,
        })
}
