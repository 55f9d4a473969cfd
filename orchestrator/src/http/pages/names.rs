//! `GET /docs/names/{kind}/{name}`: what a name of ours stands for (DECISIONS 9). Anybody may read it: who
//! verifies a statement need have no account here.

use super::PageError;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../docs/names"]
struct Names;

/// Serves one, as the text that it is.
pub async fn name(Path((kind, name)): Path<(String, String)>) -> Result<Response, PageError> {
    let file = Names::get(&format!("{kind}/{name}.md")).ok_or(PageError::NotFound)?;
    let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    Ok((kind, file.data).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `urn:sallyport:build-type:run:v1` is `build-type/run`; a payload type's kind is `payload`.
    fn place(own: &str) -> (String, String) {
        if let Some(rest) = own.strip_prefix("application/vnd.sallyport.") {
            let name = rest.strip_suffix(".v1+json").unwrap();
            return ("payload".to_owned(), name.to_owned());
        }
        let rest = own.strip_prefix("urn:sallyport:").unwrap();
        let (kind, name) = rest.strip_suffix(":v1").unwrap().split_once(':').unwrap();
        (kind.to_owned(), name.to_owned())
    }

    #[tokio::test]
    async fn every_name_of_ours_is_explained() {
        use evidence::names::{APPROVAL, BUILD_TYPE, DECISION, JOB, REPORT, SETTINGS};
        let own = [APPROVAL, BUILD_TYPE, DECISION, JOB, REPORT, SETTINGS];
        for own in own {
            let (kind, name_of) = place(own);
            assert!(
                name(Path((kind.clone(), name_of.clone()))).await.is_ok(),
                "{own}"
            );
            let file = Names::get(&format!("{kind}/{name_of}.md")).unwrap();
            let text = String::from_utf8(file.data.into_owned()).unwrap();
            assert!(text.starts_with(&format!("# {own}\n")), "{own}");
        }
        assert_eq!(
            Names::iter().count(),
            own.len(),
            "a document without a name"
        );
        let outside = name(Path(("..".to_owned(), "language".to_owned()))).await;
        assert!(outside.is_err());
    }
}
