//! Asks the world: the body, the repository, the file at the commit. No transaction is open.

use super::evaluate::{Facts, FileFacts};
use super::state::{Hands, TriggerError};
use crate::delivery::{self, BodyAt, RefChange};
use crate::ground::Ground;
use crate::source::{FileAt, SourceError};
use contract::language::FILE_BYTES_MAX;
use contract::settings::Settings;

/// A delivery's body, wherever it lies.
pub(super) async fn body(
    ground: &Ground,
    hands: &Hands,
    delivery_id: &str,
) -> Result<Vec<u8>, TriggerError> {
    let at = delivery::body(&mut ground.db.reader().await?, delivery_id).await?;
    match at {
        Some(BodyAt::Row(bytes)) => Ok(bytes),
        Some(BodyAt::Blob(digest)) => {
            hands
                .blobs
                .get(&digest)
                .await
                .map_err(|source| TriggerError::Body {
                    delivery_id: delivery_id.to_owned(),
                    source,
                })
        }
        None => Err(TriggerError::Missing {
            what: "the body",
            delivery_id: delivery_id.to_owned(),
        }),
    }
}

/// What is to be known of one ref.
pub(super) async fn facts(
    hands: &Hands,
    project_id: &str,
    settings: &Settings,
    change: &RefChange,
) -> Result<Facts, SourceError> {
    let mut facts = Facts {
        ref_name: change.ref_name.clone(),
        deleted: change.after.is_none(),
        commit_found: false,
        file: FileFacts::Missing,
        path: settings.pipeline.clone(),
        changed_paths: None,
    };
    let Some(commit) = &change.after else {
        return Ok(facts);
    };
    let mirrors = &hands.mirrors;
    if mirrors.commit(project_id, commit).await?.is_none() {
        mirrors.fetch(project_id, &settings.git).await?;
    }
    facts.commit_found = mirrors.commit(project_id, commit).await?.is_some();
    if !facts.commit_found {
        return Ok(facts);
    }
    let file = mirrors
        .file(project_id, commit, &settings.pipeline, FILE_BYTES_MAX)
        .await?;
    facts.file = match file {
        FileAt::Bytes(bytes) => FileFacts::Bytes(bytes),
        FileAt::Missing => FileFacts::Missing,
        FileAt::NotAFile | FileAt::TooLarge { .. } => FileFacts::Unreadable,
    };
    if let Some(before) = &change.before {
        facts.changed_paths = mirrors.changed_paths(project_id, before, commit).await?;
    }
    Ok(facts)
}
