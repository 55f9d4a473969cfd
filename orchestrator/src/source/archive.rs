//! The source archive of a commit: uncompressed ustar, sorted, uid/gid 0, the commit's time, links
//! only inside (DECISIONS 17). The same commit gives the same bytes, whatever version of git made it.

use super::error::SourceError;
use super::read::{is_link, oid};
use contract::complaint::{Code, Complaint, Complaints};
use contract::digest::CommitId;
use git2::{ObjectType, Repository, Tree};
use std::collections::BTreeMap;
use std::io;

/// The whole archive; it is unpacked into a work area of memory or disk with a budget of its own.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Files of one commit.
const FILES_MAX: usize = 50_000;
/// Folders within folders: deeper is a bomb.
const DEPTH_MAX: usize = 64;
/// What a ustar header can hold of a link's target.
const LINK_BYTES_MAX: usize = 100;
/// A pointer of git LFS is below 1 KiB and begins so.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// A commit's files, or what hinders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archive {
    /// The ustar bytes.
    Tar(Vec<u8>),
    /// Everything about the commit that cannot be archived.
    Refused(Vec<Complaint>),
}

pub(super) fn archive(
    repository: &Repository,
    project: &str,
    commit: &CommitId,
) -> Result<Archive, SourceError> {
    let read = |source| SourceError::Read {
        project: project.to_owned(),
        commit: commit.clone(),
        source,
    };
    let found = oid(commit)
        .and_then(|id| repository.find_commit(id))
        .map_err(read)?;
    let tree = found.tree().map_err(read)?;
    let mut links = BTreeMap::new();
    gather_links(repository, &tree, "", 0, &mut links).map_err(read)?;
    let mut writer = Writer {
        repository,
        links,
        time: u64::try_from(found.time().seconds()).unwrap_or(0),
        tar: tar::Builder::new(Vec::new()),
        files: 0,
        bytes: 0,
        refused: Vec::new(),
    };
    writer.folder(&tree, "", 0).map_err(|failed| match failed {
        Failed::Git(source) => read(source),
        Failed::Io(source) => SourceError::Archive {
            commit: commit.clone(),
            source,
        },
    })?;
    if !writer.refused.is_empty() {
        return Ok(Archive::Refused(writer.refused));
    }
    let bytes = writer
        .tar
        .into_inner()
        .map_err(|source| SourceError::Archive {
            commit: commit.clone(),
            source,
        })?;
    Ok(Archive::Tar(bytes))
}

enum Failed {
    Git(git2::Error),
    Io(io::Error),
}

impl From<git2::Error> for Failed {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Writer<'r> {
    repository: &'r Repository,
    /// Every link of the commit: where it is, where it points.
    links: BTreeMap<String, String>,
    time: u64,
    tar: tar::Builder<Vec<u8>>,
    files: usize,
    bytes: usize,
    refused: Vec<Complaint>,
}

impl Writer<'_> {
    fn folder(&mut self, tree: &Tree<'_>, folder: &str, depth: usize) -> Result<(), Failed> {
        if depth > DEPTH_MAX {
            self.refuse(
                Code::SourceTooDeep,
                folder,
                "folders lie too deep in each other",
            );
            return Ok(());
        }
        // Git sorts a folder as if its name ended in a slash; ours is the plain order of names.
        let mut entries: Vec<_> = tree.iter().collect();
        entries.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
        for entry in &entries {
            if self.full() {
                return Ok(());
            }
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                self.refuse(Code::SourceName, folder, "a file's name is not UTF-8");
                continue;
            };
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let inner = self.repository.find_tree(entry.id())?;
                    self.folder(&inner, &path, depth + 1)?;
                }
                Some(ObjectType::Blob) => self.blob(entry, &path)?,
                Some(ObjectType::Commit) => {
                    self.refuse(Code::Submodule, &path, "submodules are not fetched");
                }
                Some(ObjectType::Any | ObjectType::Tag) | None => {
                    self.refuse(Code::SourceEntry, &path, "neither a file nor a folder");
                }
            }
        }
        Ok(())
    }

    fn blob(&mut self, entry: &git2::TreeEntry<'_>, path: &str) -> Result<(), Failed> {
        let (length, _) = self.repository.odb()?.read_header(entry.id())?;
        self.files += 1;
        self.bytes = self.bytes.saturating_add(length).saturating_add(1024);
        if self.files > FILES_MAX || self.bytes > SOURCE_BYTES_MAX {
            self.refuse(
                Code::SourceTooLarge,
                path,
                "the commit has more than 50 000 files or 256 MiB",
            );
            return Ok(());
        }
        let blob = self.repository.find_blob(entry.id())?;
        let content = blob.content();
        if is_link(entry.filemode()) {
            return self.link(path, content);
        }
        if content.starts_with(LFS_POINTER) && content.len() < 1024 {
            self.refuse(Code::LfsPointer, path, "files of git LFS are not fetched");
            return Ok(());
        }
        let mut header = self.header(tar::EntryType::Regular);
        header.set_mode(if entry.filemode() == 0o100_755 {
            0o755
        } else {
            0o644
        });
        header.set_size(content.len() as u64);
        if header.set_path(path).is_err() {
            self.refuse(
                Code::SourceName,
                path,
                "the path is too long for an archive",
            );
            return Ok(());
        }
        header.set_cksum();
        self.tar.append(&header, content)?;
        Ok(())
    }

    fn link(&mut self, path: &str, target: &[u8]) -> Result<(), Failed> {
        let target = std::str::from_utf8(target)
            .ok()
            .filter(|t| t.len() <= LINK_BYTES_MAX);
        let Some(target) = target.filter(|target| stays_inside(&self.links, path, target)) else {
            self.refuse(
                Code::LinkOutside,
                path,
                "a link leads out of the repository",
            );
            return Ok(());
        };
        let mut header = self.header(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        if header.set_path(path).is_err() || header.set_link_name_literal(target).is_err() {
            self.refuse(
                Code::SourceName,
                path,
                "the path is too long for an archive",
            );
            return Ok(());
        }
        header.set_cksum();
        self.tar.append(&header, io::empty())?;
        Ok(())
    }

    fn header(&self, kind: tar::EntryType) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header
    }

    fn full(&self) -> bool {
        self.files > FILES_MAX || self.bytes > SOURCE_BYTES_MAX
    }

    fn refuse(&mut self, code: Code, path: &str, message: &str) {
        let mut complaints = Complaints::new(path, "");
        complaints.add(code, &(0..0), message, "", None);
        if self.refused.len() < contract::complaint::COMPLAINTS_MAX {
            self.refused.extend(complaints.finish());
        }
    }
}

/// The links of a commit that can be archived at all.
fn gather_links(
    repository: &Repository,
    tree: &Tree<'_>,
    folder: &str,
    depth: usize,
    links: &mut BTreeMap<String, String>,
) -> Result<(), git2::Error> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in tree {
        let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
            continue;
        };
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        if entry.kind() == Some(ObjectType::Tree) {
            let inner = repository.find_tree(entry.id())?;
            gather_links(repository, &inner, &path, depth + 1, links)?;
        } else if is_link(entry.filemode()) && links.len() < FILES_MAX {
            let (bytes, _) = repository.odb()?.read_header(entry.id())?;
            if bytes <= LINK_BYTES_MAX
                && let Ok(target) = std::str::from_utf8(repository.find_blob(entry.id())?.content())
            {
                links.insert(path, target.to_owned());
            }
        }
    }
    Ok(())
}

/// The kernel follows no more links than these on one way.
const FOLLOWED_MAX: usize = 40;

/// Whether a link at `path` leads to somewhere in the repository, on its whole way: a link that it passes
/// is followed as the kernel does, and after `a -> deep/folder` the `..` of `a/..` is `deep`.
fn stays_inside(links: &BTreeMap<String, String>, path: &str, target: &str) -> bool {
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    // What is still to be walked, the next part last.
    let mut ahead: Vec<&str> = vec![target];
    let mut followed = 0;
    while let Some(rest) = ahead.pop() {
        if rest.is_empty() || rest.starts_with('/') || rest.contains('\0') {
            return false;
        }
        let (part, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let rest = rest.trim_start_matches('/');
        if !rest.is_empty() {
            ahead.push(rest);
        }
        match part {
            "." => {}
            ".." => {
                if at.pop().is_none() {
                    return false;
                }
            }
            name => {
                at.push(name);
                let here = at.join("/");
                if let Some(target) = links.get(&here) {
                    followed += 1;
                    // A circle leads nowhere: the kernel gives up, and so do we.
                    if followed > FOLLOWED_MAX {
                        return true;
                    }
                    at.pop();
                    ahead.push(target);
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(path, target): &(&str, &str)| ((*path).to_owned(), (*target).to_owned());
        list.iter().map(owned).collect()
    }

    #[test]
    fn a_link_stays_inside() {
        let none = links(&[]);
        for (path, target) in [
            ("a/b", "../c"),
            ("a", "b/../c"),
            ("a/b", ".."),
            ("a", "b//c/"),
        ] {
            assert!(stays_inside(&none, path, target), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", "../c"),
            ("a/b", "../../c"),
            ("a", "/etc/passwd"),
            ("a", ""),
            ("a", "b/../../c"),
        ] {
            assert!(!stays_inside(&none, path, target), "{path} -> {target}");
        }
    }

    #[test]
    fn a_chain_of_links_does_not_leave_either() {
        // Each is inside by its text; on the second's way the first leads to the top.
        let chain = links(&[("a/b/c/top", "../../.."), ("out", "a/b/c/top/../x")]);
        assert!(stays_inside(&chain, "a/b/c/top", "../../.."));
        assert!(!stays_inside(&chain, "out", "a/b/c/top/../x"));
        let inside = links(&[("short", "deep/er/folder"), ("up", "short/../x")]);
        assert!(stays_inside(&inside, "up", "short/../x"));
        let absolute = links(&[("etc", "/etc")]);
        assert!(!stays_inside(&absolute, "hosts", "etc/hosts"));
        let circle = links(&[("a", "b"), ("b", "a")]);
        assert!(stays_inside(&circle, "a", "b"));
        let growing = links(&[("a", "a/a/a/a")]);
        assert!(stays_inside(&growing, "x", "a"));
    }
}
