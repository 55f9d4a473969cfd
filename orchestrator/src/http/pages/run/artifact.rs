//! `GET …/runs/{number}/artifacts/{id}`: a stored file, to keep and never to show: whoever writes a
//! pipeline decides what is in it.

use super::super::frame::visible_project;
use super::PageError;
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::{run, step};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use contract::digest::Digest;
use http::header;
use std::sync::Arc;
use tokio_util::io::ReaderStream;

/// The file.
pub async fn artifact(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, number, id)): Path<(String, i64, String)>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let run = run::by_number(&mut conn, &project.name, number)
        .await
        .map_err(PageError::log)?;
    let run = run.ok_or(PageError::NotFound)?;
    let found = step::artifact(&mut conn, &run.id, &id)
        .await
        .map_err(PageError::log)?;
    let found = found.ok_or(PageError::NotFound)?;
    let digest = Digest::parse(&found.digest).map_err(PageError::log)?;
    let file = tokio::fs::File::open(app.blobs.path(&digest))
        .await
        .map_err(PageError::log)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, found.bytes.to_string()),
        (header::CONTENT_DISPOSITION, attachment(&found.name)),
        (header::ETAG, format!("\"{digest}\"")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// The last part of the name, in letters that mean the same to every browser.
fn attachment(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let plain = |c: char| {
        let is_safe = c.is_ascii_alphanumeric() || "._-+ ".contains(c);
        if is_safe { c } else { '_' }
    };
    let last: String = last.chars().map(plain).collect();
    format!("attachment; filename=\"{last}\"")
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_files_name_can_add_nothing_to_the_header() {
        let shown = |name: &str| attachment(name);
        assert_eq!(shown("files/dist/x.tar"), "attachment; filename=\"x.tar\"");
        assert_eq!(
            shown("a/\"; filename=b\u{e4}\\.html"),
            "attachment; filename=\"__ filename_b__.html\""
        );
    }
}
