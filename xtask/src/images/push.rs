//! Pushing images into a registry on the loopback that asks for no token yet.

use super::oci::{Built, manifest_type};
use crate::curl::Curl;
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// Pushes an image's blobs, then its manifest by digest; what the registry has already is left alone.
pub(crate) fn push(registry: &str, image: &Built, folder: &Path) -> Result<()> {
    let curl = Curl::default();
    let repository = format!("http://{registry}/v2/{}", image.name);
    for blob in &image.blobs {
        if curl.head(&format!("{repository}/blobs/{blob}"))?.status == 200 {
            continue;
        }
        let begun = curl.post_empty(&format!("{repository}/blobs/uploads/"))?;
        let location = begun
            .header("location")
            .context("the registry began no upload")?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={blob}");
        let answer = curl.put_file(&url, &blob_path(folder, blob), "application/octet-stream")?;
        if answer.status != 201 {
            bail!(
                "the registry answered {} to a blob of {}: {}",
                answer.status,
                image.name,
                answer.text()
            );
        }
    }
    let url = format!("{repository}/manifests/{}", image.digest);
    let answer = curl.put_file(&url, &blob_path(folder, &image.digest), manifest_type())?;
    if answer.status != 201 {
        bail!(
            "the registry answered {} to the manifest of {}: {}",
            answer.status,
            image.name,
            answer.text()
        );
    }
    Ok(())
}

fn blob_path(folder: &Path, digest: &str) -> std::path::PathBuf {
    folder.join("blobs").join(digest.replace(':', "/"))
}
