//! `GET /static/{hash}/{file}`: stylesheet, scripts and icons, kept by browsers for ever under a
//! name that changes with the content.

use super::PageError;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header;
use rust_embed::RustEmbed;
use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "../web/static"]
struct Files;

/// The path of every file, with 64 bits of its hash: enough to tell versions apart.
static PATHS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let path = |name: String| {
        let file = Files::get(&name)?;
        let hash = hex::encode(&file.metadata.sha256_hash()[..8]);
        let path = format!("/static/{hash}/{name}");
        Some((name, path))
    };
    Files::iter()
        .filter_map(|name| path(name.into_owned()))
        .collect()
});

/// Where a browser finds this file.
pub(super) fn asset(name: &str) -> &'static str {
    PATHS.get(name).map_or("/static/missing", String::as_str)
}

/// Serves one.
pub async fn file(Path((hash, name)): Path<(String, String)>) -> Result<Response, PageError> {
    let own = PATHS.get(&name).ok_or(PageError::NotFound)?;
    if *own != format!("/static/{hash}/{name}") {
        return Err(PageError::NotFound);
    }
    let file = Files::get(&name).ok_or(PageError::NotFound)?;
    let kind = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, file.data).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_served_under_its_hash_only() {
        let path = asset("sallyport.css");
        let hash = path.split('/').nth(2).unwrap().to_owned();
        let served = file(Path((hash, "sallyport.css".to_owned()))).await;
        assert!(served.is_ok());
        for (hash, name) in [("0", "sallyport.css"), ("0", "../askama.toml")] {
            let refused = file(Path((hash.to_owned(), name.to_owned()))).await;
            assert!(matches!(refused, Err(PageError::NotFound)));
        }
    }
}
