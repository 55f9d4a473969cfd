//! `cargo pictures`: the README's pictures, made by the browser story, beside a hash of what they show.

use crate::{ci, demo, needs};
use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// What the pictures are of.
const WEB: &str = "web";
/// Where they and the hash lie.
const PICTURES: &str = "docs/pictures";

/// Makes them anew.
pub(crate) fn make() -> Result<()> {
    needs::ensure(&[needs::DEMO, needs::TESTS], false)?;
    let folder = ci::repository().join(PICTURES);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    demo::pictures(&folder)?;
    std::fs::write(hash_file(), hash()? + "\n").context("write the pictures' hash")?;
    println!("The pictures in {PICTURES} show the pages as they are now; commit them.");
    Ok(())
}

/// An error when templates or styles are not those of the pictures.
pub(crate) fn are_current() -> Result<()> {
    let kept = std::fs::read_to_string(hash_file()).unwrap_or_default();
    ensure!(
        kept.trim() == hash()?,
        "{WEB}/ has changed since the pictures in {PICTURES} were made: run `cargo pictures`"
    );
    Ok(())
}

fn hash_file() -> PathBuf {
    ci::repository().join(PICTURES).join("web.sha256")
}

/// SHA-256 over every file of `web/`, by name and content.
fn hash() -> Result<String> {
    hash_of(&ci::repository().join(WEB))
}

fn hash_of(folder: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files(folder)? {
        let bytes = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let name = file.strip_prefix(folder)?.display().to_string();
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(&bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::hash_of;

    #[test]
    fn another_name_or_another_byte_is_another_hash() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        std::fs::write(&page, "<p>one</p>").unwrap();
        let first = hash_of(folder.path()).unwrap();
        assert_eq!(first, hash_of(folder.path()).unwrap());
        std::fs::write(&page, "<p>two</p>").unwrap();
        let second = hash_of(folder.path()).unwrap();
        assert_ne!(first, second);
        std::fs::rename(&page, folder.path().join("other.html")).unwrap();
        assert_ne!(second, hash_of(folder.path()).unwrap());
    }
}
