//! The pass: writes the counts of refusals whose minute is over.

use super::intake::Intake;
use super::refuse::write_folded;
use super::state::DeliveryError;
use crate::clock::At;
use crate::reconcile::Progress;

/// Writes what is over.
pub async fn pass(intake: &Intake) -> Result<Progress, DeliveryError> {
    write_until(intake, Some(intake.ground().now())).await
}

/// Writes everything that is counted: the process stops.
pub async fn flush(intake: &Intake) -> Result<Progress, DeliveryError> {
    write_until(intake, None).await
}

async fn write_until(intake: &Intake, now: Option<At>) -> Result<Progress, DeliveryError> {
    let mut rest = intake.folding().take(now).into_iter();
    let mut progress = Progress::Idle;
    while let Some((kind, requests)) = rest.next() {
        if let Err(error) = write_folded(intake, &kind, requests).await {
            let unwritten = std::iter::once((kind, requests)).chain(rest).collect();
            intake.folding().put_back(unwritten);
            return Err(error);
        }
        progress = Progress::Moved;
    }
    Ok(progress)
}
