//! All SQL of applying a promotion: signatures to make, what is copied along, what hinders, giving up.

use super::super::state::{GiveUp, PromotionId};
use crate::clock::At;
use crate::db::{Conn, Error};

/// The intent to sign; one a reference, whoever comes first.
pub(in crate::promotion) async fn intend_signature(
    conn: &mut Conn,
    id: &str,
    image_id: &str,
    repository: &str,
    promotion_id: &PromotionId,
    payload: &[u8],
    at: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO signature (id, image_id, repository, promotion_id, state, payload, intended_at)
         VALUES ($1, $2, $3, $4, 'intended', $5, $6)
         ON CONFLICT (image_id, repository) DO NOTHING",
        id,
        image_id,
        repository,
        promotion_id.as_str(),
        payload,
        at.0
    )?;
    Ok(())
}

/// Envelopes of an image's published attestations, with their predicate type.
pub(in crate::promotion) async fn attestations(
    conn: &mut Conn,
    image_id: &str,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    crate::fetch_all!(
        conn,
        (String, Vec<u8>),
        "SELECT predicate_type, envelope FROM attestation
         WHERE image_id = $1 AND state = 'published' AND envelope IS NOT NULL ORDER BY kind",
        image_id
    )
}

/// A run's number, for the tag.
pub(in crate::promotion) async fn run_number(
    conn: &mut Conn,
    run_id: &str,
) -> Result<Option<i64>, Error> {
    let row = crate::fetch_optional!(conn, (i64,), "SELECT number FROM run WHERE id = $1", run_id)?;
    Ok(row.map(|(number,)| number))
}

/// What of applying was seen last.
pub(in crate::promotion) async fn set_progress(
    conn: &mut Conn,
    id: &PromotionId,
    progress: &str,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE promotion SET progress = $2
         WHERE id = $1 AND state = 'applying' AND (progress IS NULL OR progress <> $2)",
        id.as_str(),
        progress
    )?;
    Ok(updated == 1)
}

/// Notes that somebody gives up what is being applied; false when it is not, or somebody has before.
pub(in crate::promotion) async fn give_up(
    conn: &mut Conn,
    id: &PromotionId,
    give_up: &GiveUp,
) -> Result<bool, Error> {
    let updated = crate::execute!(
        conn,
        "UPDATE promotion SET give_up_at = $2, give_up_by = $3, give_up_reason = $4
         WHERE id = $1 AND state = 'applying' AND give_up_at IS NULL",
        id.as_str(),
        give_up.at,
        &give_up.by,
        &give_up.reason
    )?;
    Ok(updated == 1)
}

/// Whether somebody has given it up.
pub(in crate::promotion) async fn is_given_up(
    conn: &mut Conn,
    id: &PromotionId,
) -> Result<bool, Error> {
    let row = crate::fetch_optional!(
        conn,
        (Option<i64>,),
        "SELECT give_up_at FROM promotion WHERE id = $1",
        id.as_str()
    )?;
    Ok(row.is_some_and(|(at,)| at.is_some()))
}
