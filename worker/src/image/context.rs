//! The context of a build: the part of the source that a Dockerfile may copy from.
//!
//! `.dockerignore` (or `<Dockerfile>.dockerignore`) is honoured here, before the engine sees the
//! context: the last pattern that matches a path or a folder above it decides.

use crate::step::ArchiveError;
use globset::{GlobBuilder, GlobMatcher};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;

/// A Dockerfile is written by people.
const DOCKERFILE_BYTES_MAX: u64 = 1024 * 1024;
/// So is a list of what to leave out.
const IGNORE_BYTES_MAX: u64 = 256 * 1024;

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is no such file.
    #[error("the commit holds no file {0}")]
    Missing(String),
    /// A file is too large for what it is.
    #[error("{0} is too large")]
    TooLarge(String),
    /// The Dockerfile stands elsewhere.
    #[error("the Dockerfile {dockerfile} is not inside the context {context}")]
    Outside {
        /// The Dockerfile.
        dockerfile: String,
        /// The context.
        context: String,
    },
    /// Not a path in the source.
    #[error("{0} is no path in the source")]
    Path(String),
    /// A pattern that cannot be read.
    #[error("{file}: the pattern {pattern} cannot be read")]
    Pattern {
        /// The file.
        file: String,
        /// The pattern.
        pattern: String,
    },
}

/// A context, ready for the engine.
#[derive(Debug)]
pub struct Prepared {
    /// The Dockerfile's bytes: exactly those in the context.
    pub dockerfile: Vec<u8>,
    /// Its path in the context.
    pub path: String,
    /// Files in the context.
    pub files: u64,
}

/// Packs the context of this Dockerfile from the source archive. Everything in it belongs to
/// `owner`: the builder unpacks a context without mapping ids, and an engine with user namespaces
/// drops files of unmapped owners from the image without a word (Docker 20.10: tried).
pub fn prepare(
    source: &Path,
    dockerfile: &str,
    context: &str,
    owner: (u64, u64),
    into: &Path,
) -> Result<Prepared, ContextError> {
    let (dockerfile, context) = (plain(dockerfile)?, plain(context)?);
    let prefix = if context.is_empty() {
        String::new()
    } else {
        format!("{context}/")
    };
    let path = dockerfile
        .strip_prefix(&prefix)
        .ok_or_else(|| ContextError::Outside {
            dockerfile: dockerfile.clone(),
            context: context.clone(),
        })?
        .to_owned();
    let own = format!("{dockerfile}.dockerignore");
    let general = format!("{prefix}.dockerignore");
    let mut small = Small::read(source, [&dockerfile, &own, &general])?;
    let text = small
        .take(&dockerfile)
        .ok_or_else(|| ContextError::Missing(dockerfile.clone()))?;
    let ignore = match small.take(&own) {
        Some(bytes) => Ignore::parse(&own, &bytes)?,
        None => Ignore::parse(&general, &small.take(&general).unwrap_or_default())?,
    };
    let file = std::fs::File::create(into).map_err(ArchiveError::Read)?;
    let mut out = tar::Builder::new(BufWriter::new(file));
    let mut files = 0;
    let archive = std::fs::File::open(source).map_err(ArchiveError::Read)?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(archive));
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        let full = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let full = full.trim_start_matches("./").trim_end_matches('/');
        let Some(inside) = full.strip_prefix(&prefix).filter(|p| !p.is_empty()) else {
            continue;
        };
        if inside != path && ignore.leaves_out(inside) {
            continue;
        }
        // The source archive is the orchestrator's own and its digest was checked: links in it
        // point inside. The engine unpacks it into a root of its own.
        let mut header = entry.header().clone();
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        let inside = inside.to_owned();
        if let Some(link) = entry
            .link_name_bytes()
            .filter(|_| !header.entry_type().is_file())
        {
            let link = String::from_utf8_lossy(&link).into_owned();
            out.append_link(&mut header, &inside, link)
                .map_err(ArchiveError::Read)?;
        } else {
            out.append_data(&mut header, &inside, &mut entry)
                .map_err(ArchiveError::Read)?;
        }
        files += 1;
    }
    out.into_inner()
        .and_then(|mut inner| inner.flush())
        .map_err(ArchiveError::Read)?;
    Ok(Prepared {
        dockerfile: text,
        path,
        files,
    })
}

/// A few small files of the source.
struct Small(Vec<(String, Vec<u8>)>);

impl Small {
    fn read(source: &Path, wanted: [&String; 3]) -> Result<Self, ContextError> {
        let mut found = Vec::new();
        crate::step::archive::each_file_of::<ContextError>(source, u64::MAX, |entry| {
            let Some(place) = wanted.iter().position(|path| **path == entry.path) else {
                return Ok(());
            };
            let limit = if place == 0 {
                DOCKERFILE_BYTES_MAX
            } else {
                IGNORE_BYTES_MAX
            };
            if entry.bytes > limit {
                return Err(ContextError::TooLarge(entry.path));
            }
            let mut bytes = Vec::new();
            entry
                .content
                .take(limit)
                .read_to_end(&mut bytes)
                .map_err(ArchiveError::Read)?;
            found.push((entry.path, bytes));
            Ok(())
        })?;
        Ok(Self(found))
    }

    fn take(&mut self, path: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(name, _)| name == path)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// What is left out of a context.
struct Ignore(Vec<(bool, GlobMatcher)>);

impl Ignore {
    fn parse(file: &str, bytes: &[u8]) -> Result<Self, ContextError> {
        let text = String::from_utf8_lossy(bytes);
        let mut rules = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (out, pattern) = match line.strip_prefix('!') {
                Some(rest) => (false, rest.trim()),
                None => (true, line),
            };
            let pattern = pattern.trim_start_matches("./").trim_matches('/');
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|_| ContextError::Pattern {
                    file: file.to_owned(),
                    pattern: pattern.to_owned(),
                })?;
            rules.push((out, glob.compile_matcher()));
        }
        Ok(Self(rules))
    }

    fn leaves_out(&self, path: &str) -> bool {
        let mut above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        above.push(path);
        self.0.iter().fold(false, |out, (rule_out, glob)| {
            if above.iter().any(|path| glob.is_match(path)) {
                *rule_out
            } else {
                out
            }
        })
    }
}

/// A relative path; `.` is empty.
fn plain(path: &str) -> Result<String, ContextError> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if path.starts_with('/') || parts.contains(&"..") {
        return Err(ContextError::Path(path.to_owned()));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(rules: &str, path: &str) -> bool {
        Ignore::parse(".dockerignore", rules.as_bytes())
            .unwrap()
            .leaves_out(path)
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rules = "# comment\n*.md\n!README.md\nnode_modules\n**/secret.key\n";
        assert!(left_out(rules, "NOTES.md"));
        assert!(!left_out(rules, "README.md"));
        assert!(!left_out(rules, "docs/NOTES.md"), "`*` stays in one folder");
        assert!(left_out(rules, "node_modules/a/b.js"));
        assert!(left_out(rules, "deep/down/secret.key"));
        assert!(!left_out("", "a"));
    }

    #[test]
    fn a_context_holds_its_folder_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source.tar");
        let mut builder = tar::Builder::new(std::fs::File::create(&source).unwrap());
        for (path, text) in [
            ("app/Dockerfile", "FROM scratch\n"),
            ("app/main.py", "1"),
            ("app/.dockerignore", "*.log\n"),
            ("app/x.log", "2"),
            ("other/secret", "3"),
        ] {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, path, text.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap();
        let into = folder.path().join("context.tar");
        let prepared = prepare(&source, "app/Dockerfile", "app", (0, 0), &into).unwrap();
        assert_eq!(prepared.path, "Dockerfile");
        assert_eq!(prepared.dockerfile, b"FROM scratch\n");
        let mut names = Vec::new();
        crate::step::archive::each_file_of::<ArchiveError>(&into, 1000, |entry| {
            names.push(entry.path);
            Ok(())
        })
        .unwrap();
        assert_eq!(names, ["Dockerfile", "main.py", ".dockerignore"]);
        assert!(matches!(
            prepare(&source, "other/secret", "app", (0, 0), &into),
            Err(ContextError::Outside { .. })
        ));
    }
}
