//! Asks the world: the body, the repository, the file at the commit. No transaction is open.

use super::evaluate::{Facts, FileFacts};
use super::state::{Hands, TriggerError};
use super::store;
use crate::delivery::{self, BodyAt, RefChange};
use crate::ground::Ground;
use crate::source::{FileAt, SourceError};
use contract::digest::CommitId;
use contract::language::FILE_BYTES_MAX;
use contract::settings::Settings;

/// An id of a SHA-1 repository; those of SHA-256 have 64, and the reader of mirrors knows none of them.
const SHA1_DIGITS: usize = 40;

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

/// Of what was started for a ref, so many are asked whether an old commit is in their history: on a line
/// that nobody forces the newest one answers.
const STARTED_MAX: i64 = 20;

/// Looking failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// What was started before could not be read.
    #[error("read what was started")]
    Db(#[from] crate::db::Error),
    /// The repository could not be read.
    #[error("look at the repository")]
    Source(#[from] SourceError),
}

/// What was looked at for one delivery: its project's repository, fetched at most once.
pub(super) struct Look<'a> {
    ground: &'a Ground,
    hands: &'a Hands,
    project_id: &'a str,
    settings: &'a Settings,
    fetched: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        ground: &'a Ground,
        hands: &'a Hands,
        project_id: &'a str,
        settings: &'a Settings,
    ) -> Self {
        Self {
            ground,
            hands,
            project_id,
            settings,
            fetched: false,
        }
    }

    /// What is to be known of one ref. `change.after` becomes the commit itself where it was a tag's id.
    pub(super) async fn facts(&mut self, change: &mut RefChange) -> Result<Facts, LookError> {
        let mut facts = Facts {
            ref_name: change.ref_name.clone(),
            deleted: change.after.is_none(),
            other_hash: false,
            commit_found: false,
            stale: false,
            file: FileFacts::Missing,
            path: self.settings.pipeline.clone(),
            changed_paths: None,
        };
        let Some(told) = &change.after else {
            return Ok(facts);
        };
        facts.other_hash = told.as_str().len() != SHA1_DIGITS;
        if facts.other_hash {
            return Ok(facts);
        }
        let Some(commit) = self.commit(told).await? else {
            return Ok(facts);
        };
        facts.commit_found = true;
        facts.stale = self.is_stale(&change.ref_name, &commit).await?;
        let (mirrors, project_id) = (&self.hands.mirrors, self.project_id);
        let path = &self.settings.pipeline;
        let file = mirrors
            .file(project_id, &commit, path, FILE_BYTES_MAX)
            .await?;
        facts.file = match file {
            FileAt::Bytes(bytes) => FileFacts::Bytes(bytes),
            FileAt::Missing => FileFacts::Missing,
            FileAt::NotAFile | FileAt::TooLarge { .. } => FileFacts::Unreadable,
        };
        if let Some(before) = &change.before {
            facts.changed_paths = mirrors.changed_paths(project_id, before, &commit).await?;
        }
        change.after = Some(commit);
        Ok(facts)
    }

    async fn commit(&mut self, told: &CommitId) -> Result<Option<CommitId>, SourceError> {
        let (mirrors, project_id) = (&self.hands.mirrors, self.project_id);
        if let Some(commit) = mirrors.peel(project_id, told).await? {
            return Ok(Some(commit));
        }
        self.fetch().await?;
        mirrors.peel(project_id, told).await
    }

    /// A delivery that was captured and comes again is signed as well as the first one was; its commit must
    /// not become the newest run. A ref that was really moved back stands where the push says.
    async fn is_stale(&mut self, ref_name: &str, commit: &CommitId) -> Result<bool, LookError> {
        let project = self.project_id;
        let (was_started, started) = {
            let mut conn = self.ground.db.reader().await?;
            let was = store::was_started(&mut conn, project, ref_name, commit.as_str()).await?;
            let started = store::started(&mut conn, project, ref_name, STARTED_MAX).await?;
            (was, started)
        };
        let started = started
            .iter()
            .filter_map(|text| CommitId::parse(text).ok())
            .collect();
        let mirrors = &self.hands.mirrors;
        if !was_started && !mirrors.is_within(project, commit, started).await? {
            return Ok(false);
        }
        // Where the mirror has the commit already, nothing was fetched for it.
        self.fetch().await?;
        let mirrors = &self.hands.mirrors;
        Ok(mirrors.resolve(project, ref_name).await?.as_ref() != Some(commit))
    }

    async fn fetch(&mut self) -> Result<(), SourceError> {
        if !self.fetched {
            let mirrors = &self.hands.mirrors;
            mirrors.fetch(self.project_id, &self.settings.git).await?;
            self.fetched = true;
        }
        Ok(())
    }
}
