//! `PUT /api/v1/advisories` (a zip of OSV records), `GET /api/v1/advisories`.

use crate::app::App;
use crate::clock::At;
use crate::finding::advisory::{self, ARCHIVE_BYTES_MAX, ImportOutcome, NotImported, Source};
use crate::http::extract::ApiCaller;
use crate::http::problem::{Code, Problem};
use crate::identity::Permission;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An ecosystem whose advisories are known.
#[derive(Serialize)]
pub struct SourceView {
    /// OSV's word.
    pub ecosystem: String,
    /// SHA-256 of the archive.
    pub digest: String,
    /// Its records.
    pub records: i64,
    /// Its newest record.
    pub content_at: String,
    /// The last successful import, an unchanged one too.
    pub confirmed_at: String,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        let Source {
            ecosystem,
            digest,
            records,
            content_at,
            confirmed_at,
        } = source;
        Self {
            ecosystem,
            digest,
            records,
            content_at: At(content_at).to_string(),
            confirmed_at: At(confirmed_at).to_string(),
        }
    }
}

/// What an import did.
#[derive(Serialize)]
pub struct ImportView {
    /// The ecosystems that are known now.
    pub sources: Vec<SourceView>,
    /// Records that are new or have changed.
    pub changed: usize,
    /// Records that are no longer published.
    pub forgotten: usize,
    /// Ecosystems that the archive only mentions: not taken.
    pub only_mentioned: BTreeMap<String, u32>,
}

/// Imports advisories; images of releases are judged again right after.
pub async fn import(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
    body: Body,
) -> Result<Json<ImportView>, Problem> {
    caller.must_everywhere(Permission::Administer)?;
    // Only now: an archive is large, and nobody else may make the server hold one.
    let body = to_bytes(body, ARCHIVE_BYTES_MAX).await.map_err(|_| {
        let detail =
            format!("the archive did not come whole, or has more than {ARCHIVE_BYTES_MAX} bytes");
        Problem::new(Code::BodyTooLarge, detail)
    })?;
    let outcome = advisory::import(&app.ground, &caller.0.actor, body).await;
    match outcome.map_err(|error| Problem::internal(&error))? {
        ImportOutcome::Imported(imported) => {
            app.bells.finding.ring();
            Ok(Json(ImportView {
                sources: imported.sources.into_iter().map(SourceView::from).collect(),
                changed: imported.changed,
                forgotten: imported.forgotten,
                only_mentioned: imported.only_mentioned,
            }))
        }
        ImportOutcome::Refused(refused) => {
            let detail = refused.to_string();
            Err(match refused {
                NotImported::NotZip(_) | NotImported::Empty | NotImported::Broken { .. } => {
                    Problem::new(Code::BadAdvisories, detail)
                }
                NotImported::TooMany { .. } => Problem::new(Code::BodyTooLarge, detail),
            })
        }
    }
}

/// The ecosystems whose advisories are known.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: ApiCaller,
) -> Result<Json<Vec<SourceView>>, Problem> {
    caller.must_everywhere(Permission::See)?;
    let failed = |error: crate::db::Error| Problem::internal(&error);
    let mut conn = app.ground.db.reader().await.map_err(failed)?;
    let sources = advisory::sources(&mut conn).await.map_err(failed)?;
    Ok(Json(sources.into_iter().map(SourceView::from).collect()))
}
