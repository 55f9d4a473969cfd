//! Whether what is stored about an image holds, by the keys that this instance knows.

use super::state::{Attestation, AttestationError, Signature, State};
use super::store;
use crate::db::Conn;
use crate::image::Image;
use crate::instance;
use crate::signing::KeyRole;
use evidence::{cosign, dsse, keys, names, statement};
use p256::ecdsa::VerifyingKey;

/// What of an image's evidence is not there, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Published provenance that holds.
    Provenance,
    /// A published signature in quarantine that holds.
    Signature,
}

/// Verifies provenance and quarantine signature of an image; empty when both hold.
pub async fn verify(conn: &mut Conn, image: &Image) -> Result<Vec<Missing>, AttestationError> {
    let provenance_keys = trusted(conn, KeyRole::Provenance).await?;
    let release_keys = trusted(conn, KeyRole::Release).await?;
    let provenance = store::provenance_of_image(conn, &image.id).await?;
    let signatures = store::signatures_of_image(conn, &image.id).await?;
    let mut missing = Vec::new();
    let provenance = provenance.is_some_and(|attestation| {
        is_published(&attestation.state)
            && attestation_holds(&attestation, image, &provenance_keys).is_ok()
    });
    if !provenance {
        missing.push(Missing::Provenance);
    }
    let signature = signatures.iter().any(|signature| {
        signature.repository == image.repository
            && is_published(&signature.state)
            && signature_holds(signature, image, &release_keys).is_ok()
    });
    if !signature {
        missing.push(Missing::Signature);
    }
    Ok(missing)
}

/// The keys of a role that were not revoked.
pub(super) async fn trusted(
    conn: &mut Conn,
    role: KeyRole,
) -> Result<Vec<VerifyingKey>, AttestationError> {
    let rows = instance::keys_of_role(conn, role.as_str()).await?;
    let mut trusted = Vec::with_capacity(rows.len());
    for row in rows {
        if row.revoked_at.is_some() {
            continue;
        }
        let key = keys::from_spki_der(&row.public).map_err(|_| crate::db::Error::Inconsistent {
            table: "key",
            column: "public",
            id: row.id,
        })?;
        trusted.push(key);
    }
    Ok(trusted)
}

/// The envelope holds the stored statement, about this image, of this kind, under one of the keys.
pub(super) fn attestation_holds(
    attestation: &Attestation,
    image: &Image,
    trusted: &[VerifyingKey],
) -> Result<(), String> {
    let signed = attestation.state.signed().ok_or("not signed")?;
    let verified =
        dsse::verify(&signed.bytes, names::IN_TOTO, trusted).map_err(|e| e.to_string())?;
    if verified.payload != attestation.statement {
        return Err("the envelope holds another statement".to_owned());
    }
    let heading = statement::read(&verified.payload).map_err(|e| e.to_string())?;
    if heading.subjects != [image.digest] {
        return Err("the statement is about another image".to_owned());
    }
    if heading.predicate_type != attestation.kind.predicate_type() {
        return Err("the statement is of another type".to_owned());
    }
    Ok(())
}

/// The signature is over the stored payload, which names this image and this reference.
pub(super) fn signature_holds(
    signature: &Signature,
    image: &Image,
    trusted: &[VerifyingKey],
) -> Result<(), String> {
    let signed = signature.state.signed().ok_or("not signed")?;
    let payload = trusted
        .iter()
        .find_map(|key| cosign::verify(&signature.payload, &signed.bytes, key).ok())
        .ok_or("no known key signed it")?;
    if payload.digest != image.digest || payload.repository != signature.repository {
        return Err("the payload names another image or reference".to_owned());
    }
    Ok(())
}

fn is_published(state: &State) -> bool {
    match state {
        State::Published { .. } => true,
        State::Intended | State::Signed(_) => false,
    }
}
