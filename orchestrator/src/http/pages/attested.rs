//! What is attested about images: a run's page and a promotion's show the same.

use super::{Copied, Look, PageError, Status};
use crate::attestation::{self, Kind, State};
use crate::db::Conn;
use crate::image::Image;

/// One attestation or signature of one image.
pub(super) struct Attested {
    pub(super) image: String,
    pub(super) what: &'static str,
    pub(super) status: Status,
    /// The manifest that holds it in the registry.
    pub(super) manifest: Option<Copied>,
}

/// Each kind for each image, also those that are not there yet.
pub(super) async fn attested(
    conn: &mut Conn,
    images: &[Image],
    is_over: bool,
) -> Result<Vec<Attested>, PageError> {
    let mut all = Vec::new();
    for image in images {
        let stored = attestation::attestations_of_image(conn, &image.id)
            .await
            .map_err(PageError::log)?;
        let signatures = attestation::signatures_of_image(conn, &image.id)
            .await
            .map_err(PageError::log)?;
        let own = signatures
            .iter()
            .find(|signature| signature.promotion_id.is_none());
        let kind = |kind| {
            let found = stored.iter().find(|one| one.kind == kind);
            found.map(|one| &one.state)
        };
        let rows = [
            ("Provenance", kind(Kind::Provenance)),
            ("SBOM", kind(Kind::Sbom)),
            (
                "Signature in quarantine",
                own.map(|signature| &signature.state),
            ),
        ];
        all.extend(rows.map(|(what, state)| Attested {
            image: image.name.to_string(),
            what,
            status: status(state, is_over),
            manifest: match state {
                Some(State::Published { manifest, .. }) => {
                    Some(Copied::new("digest", manifest.to_string()))
                }
                Some(State::Intended | State::Signed(_)) | None => None,
            },
        }));
    }
    Ok(all)
}

fn status(state: Option<&State>, is_over: bool) -> Status {
    match state {
        Some(State::Published { .. }) => Status::new(Look::Pass, "pass", "Published"),
        Some(State::Signed(_)) => Status::new(Look::Work, "work", "Signed"),
        Some(State::Intended) => Status::new(Look::Work, "work", "Being signed"),
        None if is_over => Status::new(Look::Idle, "skip", "None"),
        None => Status::new(Look::Idle, "queue", "Only if the run passes"),
    }
}
