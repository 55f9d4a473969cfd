//! Reading tar streams that somebody else made: source archives, what a container leaves, layers.
//!
//! Only regular files are ever handed on, with a relative path that stays inside. Everything is
//! counted: entries, bytes a file, bytes together.

use std::io::{self, Read};
use std::path::Path;

/// Entries of one archive.
pub(crate) const ENTRIES_MAX: u64 = 1_000_000;
/// A path is longer in no real tree.
pub(crate) const PATH_BYTES_MAX: usize = 4096;

/// Why an archive was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Broken, or the disk is.
    #[error("could not read the archive")]
    Read(#[from] io::Error),
    /// More entries than are looked at.
    #[error("the archive has more than {ENTRIES_MAX} entries")]
    Entries,
    /// More bytes than are taken.
    #[error("the archive's files have more than {0} bytes together")]
    Bytes(u64),
}

impl ArchiveError {
    /// Whether the worker's own disk is to blame and not what the archive holds.
    pub fn is_ours(&self) -> bool {
        match self {
            // What a reader says of bytes that are no archive, or end in the middle.
            Self::Read(error) => !matches!(
                error.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::Other
            ),
            Self::Entries | Self::Bytes(_) => false,
        }
    }
}

/// One regular file.
pub(crate) struct Entry<'a> {
    /// Its path: relative, no `.`, no `..`, no empty part.
    pub path: String,
    /// Its mode bits.
    pub mode: u32,
    /// Its length.
    pub bytes: u64,
    /// Its content.
    pub content: &'a mut dyn Read,
}

/// Calls `each` for every regular file; links, devices and strange paths are passed over and
/// counted in the answer.
pub(crate) fn each_file<E: From<ArchiveError>>(
    archive: impl Read,
    bytes_max: u64,
    mut each: impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut archive = tar::Archive::new(archive);
    let (mut seen, mut bytes, mut passed_over) = (0, 0_u64, 0);
    let read = |error| E::from(ArchiveError::Read(error));
    for entry in archive.entries().map_err(read)? {
        let mut entry = entry.map_err(read)?;
        seen += 1;
        if seen > ENTRIES_MAX {
            return Err(ArchiveError::Entries.into());
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        let path = plain(&entry.path_bytes());
        let (true, Some(path)) = (kind.is_file(), path) else {
            passed_over += 1;
            continue;
        };
        let length = entry.size();
        bytes = bytes.saturating_add(length);
        if bytes > bytes_max {
            return Err(ArchiveError::Bytes(bytes_max).into());
        }
        let mode = entry.header().mode().unwrap_or(0o644);
        each(Entry {
            path,
            mode,
            bytes: length,
            content: &mut entry,
        })?;
    }
    Ok(passed_over)
}

/// Opens an archive file and calls `each` for every regular file in it.
pub(crate) fn each_file_of<E: From<ArchiveError>>(
    archive: &Path,
    bytes_max: u64,
    each: impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let file = std::fs::File::open(archive).map_err(|e| E::from(ArchiveError::Read(e)))?;
    each_file(
        io::BufReader::with_capacity(128 * 1024, file),
        bytes_max,
        each,
    )
}

/// Appends a regular file to an archive of our own; long paths are written as GNU tar does.
pub(crate) fn append(
    out: &mut tar::Builder<impl io::Write>,
    path: &str,
    mode: u32,
    bytes: u64,
    content: &mut dyn Read,
) -> Result<(), ArchiveError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(mode & 0o777);
    header.set_size(bytes);
    header.set_mtime(0);
    out.append_data(&mut header, path, content.take(bytes))?;
    Ok(())
}

/// A path as text that stays inside; a leading `./` or `/` is dropped.
fn plain(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    if text.len() > PATH_BYTES_MAX || text.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.is_empty() || parts.contains(&"..") {
        return None;
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, kind, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(bytes);
            out.resize(out.len().div_ceil(512) * 512, 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    #[test]
    fn only_regular_files_inside_are_handed_on() {
        let bytes = archive(&[
            ("./a/b", tar::EntryType::Regular, b"yes"),
            ("../escape", tar::EntryType::Regular, b"no"),
            ("a/../../escape", tar::EntryType::Regular, b"no"),
            ("/etc/x", tar::EntryType::Regular, b"yes"),
            ("link", tar::EntryType::Symlink, b""),
            ("null", tar::EntryType::Char, b""),
        ]);
        let mut seen = Vec::new();
        let passed_over = each_file::<ArchiveError>(bytes.as_slice(), 100, |entry| {
            seen.push(entry.path);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["a/b", "etc/x"]);
        assert_eq!(passed_over, 4);
    }

    #[test]
    fn an_archive_that_is_too_large_is_left() {
        let bytes = archive(&[("a", tar::EntryType::Regular, &[0; 600])]);
        let result = each_file::<ArchiveError>(bytes.as_slice(), 500, |_| Ok(()));
        assert!(matches!(result, Err(ArchiveError::Bytes(500))));
    }
}
