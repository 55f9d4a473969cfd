//! Layers: deterministic tar archives. Sorted, one time, no account names, nothing that differs between two machines.

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::Path;

/// Every file's time in every image: 2023-11-14T22:13:20Z, also given to mmdebstrap as SOURCE_DATE_EPOCH.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// Paths (whole folders where they end in `/`) that no image needs or that differ from build to build.
const DROPPED: [&str; 18] = [
    "dev/",
    "proc/",
    "sys/",
    "run/",
    "tmp/",
    "boot/",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "var/cache/apt/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "var/lib/apt/",
    "var/log/",
];

/// One thing in a layer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Node {
    mode: u32,
    uid: u64,
    gid: u64,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Folder,
    File(Vec<u8>),
    SymbolicLink(String),
    HardLink(String),
}

/// A file tree by path, without leading `./` or trailing `/`.
#[derive(Default, Clone)]
pub(crate) struct Tree(BTreeMap<String, Node>);

/// A finished layer.
pub(crate) struct Layer {
    /// Compressed bytes.
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 of the uncompressed archive, in hex.
    pub(crate) diff_id: String,
}

impl Tree {
    /// Reads an archive of a root file system, leaving out what no image needs.
    pub(crate) fn read(archive: impl Read) -> Result<Self> {
        let mut tree = Self::default();
        for entry in tar::Archive::new(archive)
            .entries()
            .context("read the root file system")?
        {
            let mut entry = entry.context("read the root file system")?;
            let path = plain(&entry.path()?.to_string_lossy());
            if path.is_empty() || is_dropped(&path) {
                continue;
            }
            let header = entry.header().clone();
            let link = entry
                .link_name()?
                .map(|link| link.to_string_lossy().into_owned());
            let kind = match (header.entry_type(), link) {
                (tar::EntryType::Directory, _) => Kind::Folder,
                (tar::EntryType::Regular, _) => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    Kind::File(bytes)
                }
                (tar::EntryType::Symlink, Some(target)) => Kind::SymbolicLink(target),
                (tar::EntryType::Link, Some(target)) => Kind::HardLink(plain(&target)),
                (other, _) => bail!("{path} is a {other:?}, which has no place in an image"),
            };
            let node = Node {
                mode: header.mode()? & 0o7777,
                uid: header.uid()?,
                gid: header.gid()?,
                kind,
            };
            tree.0.insert(path, node);
        }
        for (path, mode) in [
            ("tmp", 0o1777),
            ("run", 0o755),
            ("proc", 0o755),
            ("sys", 0o755),
            ("dev", 0o755),
        ] {
            tree.add_folder(path, mode);
        }
        Ok(tree)
    }

    /// Adds a folder that belongs to root.
    pub(crate) fn add_folder(&mut self, path: &str, mode: u32) {
        self.0.insert(
            path.to_owned(),
            Node {
                mode,
                uid: 0,
                gid: 0,
                kind: Kind::Folder,
            },
        );
    }

    /// Adds a file that belongs to root, and the folders above it.
    pub(crate) fn add_file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        let above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        for folder in above
            .into_iter()
            .rev()
            .map(|folder| folder.to_string_lossy())
        {
            if !folder.is_empty() && !self.0.contains_key(folder.as_ref()) {
                self.add_folder(&folder, 0o755);
            }
        }
        self.0.insert(
            path.to_owned(),
            Node {
                mode,
                uid: 0,
                gid: 0,
                kind: Kind::File(bytes),
            },
        );
    }

    /// What must be laid over `base` to get this tree.
    pub(crate) fn difference(&self, base: &Self) -> Self {
        let mut difference = Self::default();
        for (path, node) in &self.0 {
            if base.0.get(path) != Some(node) {
                difference.0.insert(path.clone(), node.clone());
            }
        }
        for path in base.0.keys().filter(|path| !self.0.contains_key(*path)) {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            difference.add_file(
                format!("{folder}/.wh.{name}").trim_start_matches('/'),
                0o644,
                Vec::new(),
            );
        }
        difference
    }

    /// Writes the tree as a compressed layer: folders, files and links by path, hard links last, after what they name.
    pub(crate) fn layer(&self) -> Result<Layer> {
        let mut archive = tar::Builder::new(Vec::new());
        let is_hard_link = |node: &Node| matches!(node.kind, Kind::HardLink(_));
        for (path, node) in self.0.iter().filter(|(_, node)| !is_hard_link(node)) {
            append(&mut archive, path, node)?;
        }
        for (path, node) in self.0.iter().filter(|(_, node)| is_hard_link(node)) {
            append(&mut archive, path, node)?;
        }
        let plain = archive.into_inner().context("write a layer")?;
        let diff_id = hex::encode(Sha256::digest(&plain));
        let mut compressed = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::new(4));
        compressed.write_all(&plain).context("compress a layer")?;
        Ok(Layer {
            bytes: compressed.finish().context("compress a layer")?,
            diff_id,
        })
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, node: &Node) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(node.mode);
    header.set_uid(node.uid);
    header.set_gid(node.gid);
    header.set_mtime(EPOCH);
    header.set_size(0);
    match &node.kind {
        Kind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Kind::File(bytes) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(u64::try_from(bytes.len()).context("a file's size")?);
            archive.append_data(&mut header, path, bytes.as_slice())
        }
        Kind::SymbolicLink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, path, target)
        }
        Kind::HardLink(target) => {
            header.set_entry_type(tar::EntryType::Link);
            archive.append_link(&mut header, path, target)
        }
    }
    .with_context(|| format!("write {path} into a layer"))
}

fn plain(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

fn is_dropped(path: &str) -> bool {
    let listed = DROPPED
        .iter()
        .any(|dropped| match dropped.strip_suffix('/') {
            Some(folder) => path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            None => path == *dropped,
        });
    let documentation = path.starts_with("usr/share/doc/") && !path.ends_with("/copyright");
    // dpkg and the account tools keep the file before the last change beside it.
    let old = path.starts_with("var/lib/dpkg/") && path.ends_with("-old")
        || path.starts_with("etc/") && path.ends_with('-');
    listed || documentation || old
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn two_writings_of_one_tree_are_one_digest() {
        let mut first = Tree::default();
        first.add_file("usr/bin/tool", 0o755, b"tool".to_vec());
        first.add_file("etc/a", 0o644, b"a".to_vec());
        let mut second = Tree::default();
        second.add_file("etc/a", 0o644, b"a".to_vec());
        second.add_file("usr/bin/tool", 0o755, b"tool".to_vec());
        assert_eq!(first.layer().unwrap().bytes, second.layer().unwrap().bytes);
    }

    #[test]
    fn a_difference_holds_what_is_new_and_says_what_is_gone() {
        let mut base = Tree::default();
        base.add_file("etc/a", 0o644, b"a".to_vec());
        base.add_file("etc/gone", 0o644, b"g".to_vec());
        let mut later = Tree::default();
        later.add_file("etc/a", 0o644, b"a".to_vec());
        later.add_file("etc/new", 0o644, b"n".to_vec());
        let paths: Vec<String> = later.difference(&base).0.into_keys().collect();
        assert_eq!(paths, ["etc", "etc/.wh.gone", "etc/new"]);
    }
}
