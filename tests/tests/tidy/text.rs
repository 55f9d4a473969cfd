//! Reading the repository's own files.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the repository")
        .into()
}

/// Reads a file of the repository.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder with this ending, in order; no hidden folder, no `target`.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder);
    for entry in entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder's entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A path as people write it: from the repository's root.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A Rust file of the product, read.
pub struct Source {
    /// From the root of its crate's `src`, e.g. `finding/advisory/store.rs`.
    pub path: String,
    /// Its text without comments and without its test module.
    pub code: String,
}

impl Source {
    /// `finding/advisory/store.rs` lies in the room `finding`; `clock.rs` is `clock`.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// The modules from the crate's root to this file's, e.g. `[finding, advisory, store]`.
    pub fn modules(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.path.trim_end_matches(".rs").split('/').collect();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        parts
    }

    /// Whether it is a room's `store.rs`, or lies in the folder that one is split into.
    pub fn is_store(&self) -> bool {
        let mut parts = self.path.rsplit('/');
        parts.next() == Some("store.rs") || parts.next() == Some("store")
    }

    /// Whether the file only exists in tests.
    pub fn is_test(&self) -> bool {
        let is_word =
            |part: &str| matches!(part.trim_end_matches(".rs"), "stories" | "tests" | "bench");
        self.path.split('/').any(is_word)
    }
}

/// The files of a crate's `src`, without those of tests.
pub fn product(krate: &str) -> Vec<Source> {
    let src = root().join(krate).join("src");
    let read = |path: PathBuf| Source {
        path: path
            .strip_prefix(&src)
            .expect("below src")
            .display()
            .to_string(),
        code: code(&read(&path)),
    };
    let sources: Vec<Source> = files(&src, ".rs").into_iter().map(read).collect();
    assert!(!sources.is_empty(), "{krate} has no source");
    sources.into_iter().filter(|s| !s.is_test()).collect()
}

/// The text without line comments, and without what follows `#[cfg(test)] mod tests {`.
fn code(text: &str) -> String {
    let text = text
        .find("#[cfg(test)]\nmod tests {")
        .map_or(text, |at| &text[..at]);
    let lines = text.lines().map(|line| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Says all that is wrong at once; an entry of an allow-list that nothing needs is wrong, too.
pub fn all_well(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}
