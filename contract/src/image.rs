//! References to images: where one lies (`Repository`) and which one it is (`ImageRef`).

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest repository that registries accept (distribution's own limit).
pub const REPOSITORY_BYTES_MAX: usize = 255;

/// `registry[:port]/path`: one repository of one registry, with no tag and no digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    text: String,
    slash: usize,
}

/// `registry/path@sha256:…`: exactly one image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Where it lies.
    pub repository: Repository,
    /// Which one it is.
    pub digest: Digest,
}

/// Why a text is not a reference to an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImage {
    /// No registry stands before the first slash.
    #[error("an image is named with its registry, `registry/name`: there is no default registry")]
    NoRegistry,
    /// A character or an empty part that no registry accepts.
    #[error("not a repository: lower-case letters, digits and inner `.`, `_`, `-` between slashes")]
    Form,
    /// A tag, which can move, where a digest is wanted.
    #[error("the image is not pinned: write `…@sha256:<64 hexadecimal digits>`")]
    NotPinned,
    /// The digest after `@` is not one.
    #[error(transparent)]
    Digest(#[from] crate::digest::InvalidDigest),
}

impl Repository {
    /// Parses `registry[:port]/path`. The first part is a registry when it has a dot, a port or is
    /// `localhost` (the same rule as the engine's own parser).
    pub fn parse(text: &str) -> Result<Self, InvalidImage> {
        if text.len() > REPOSITORY_BYTES_MAX {
            return Err(InvalidImage::Form);
        }
        let (registry, path) = text.split_once('/').ok_or(InvalidImage::NoRegistry)?;
        if !(registry.contains(['.', ':']) || registry == "localhost") {
            return Err(InvalidImage::NoRegistry);
        }
        if !is_registry(registry) || !path.split('/').all(is_component) {
            return Err(InvalidImage::Form);
        }
        Ok(Self {
            text: text.to_owned(),
            slash: registry.len(),
        })
    }

    /// `host[:port]`.
    pub fn registry(&self) -> &str {
        &self.text[..self.slash]
    }

    /// What stands after the registry.
    pub fn path(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A repository below this one.
    pub fn join(&self, name: &crate::name::Name) -> Result<Self, InvalidImage> {
        Self::parse(&format!("{}/{name}", self.text))
    }
}

impl ImageRef {
    /// Parses `registry/path@sha256:…`; `registry/path:tag@sha256:…` is accepted and the tag, which
    /// says nothing, dropped.
    pub fn parse(text: &str) -> Result<Self, InvalidImage> {
        let (name, digest) = text.split_once('@').ok_or(InvalidImage::NotPinned)?;
        Ok(Self {
            repository: Repository::parse(without_tag(name))?,
            digest: Digest::parse(digest)?,
        })
    }
}

/// `name:tag` without its tag; the port of a registry is not a tag.
pub fn without_tag(name: &str) -> &str {
    let after_slash = name.rfind('/').map_or(0, |at| at + 1);
    match name[after_slash..].find(':') {
        Some(at) => &name[..after_slash + at],
        None => name,
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(h, p)| (h, Some(p)));
    let host_good = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        && host.starts_with(|c: char| c.is_ascii_alphanumeric());
    host_good && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}

/// One part of a path: letters and digits, with `.`, `_`, `__` or hyphens only between them.
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(|b| alphanumeric(*b))
        && bytes.last().is_some_and(|b| alphanumeric(*b))
        && bytes
            .iter()
            .all(|b| alphanumeric(*b) || matches!(b, b'.' | b'_' | b'-'))
        && !part.contains("..")
        && !part.contains("___")
}

impl TryFrom<String> for Repository {
    type Error = InvalidImage;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.text
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidImage;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_names_its_registry_and_its_digest() {
        let text = format!("127.0.0.1:5000/base/python@sha256:{}", "0".repeat(64));
        let image = ImageRef::parse(&text).unwrap();
        assert_eq!(image.repository.registry(), "127.0.0.1:5000");
        assert_eq!(image.repository.path(), "base/python");
        assert_eq!(image.to_string(), text);
    }

    #[test]
    fn a_tag_is_not_a_pin_and_there_is_no_default_registry() {
        assert_eq!(
            ImageRef::parse("r.example/a:1"),
            Err(InvalidImage::NotPinned)
        );
        assert_eq!(Repository::parse("python"), Err(InvalidImage::NoRegistry));
        assert_eq!(
            Repository::parse("library/python"),
            Err(InvalidImage::NoRegistry)
        );
        assert_eq!(Repository::parse("r.example/A"), Err(InvalidImage::Form));
        assert_eq!(Repository::parse("r.example/a//b"), Err(InvalidImage::Form));
        assert_eq!(without_tag("r:5000/a"), "r:5000/a");
        assert_eq!(without_tag("r:5000/a:x"), "r:5000/a");
    }
}
