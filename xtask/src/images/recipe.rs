//! The recipe: which images there are, and the cache that makes them once.

use super::layer::{EPOCH, Tree};
use super::oci::{Blobs, Built, Start, image};
use super::{rootfs, wheel};
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Raised when the way images are written changes, so that no cache is taken for the new way's result.
const WRITER: u32 = 1;

/// Gives every image, from the cache or made now, and the folder with their blobs.
pub(crate) fn build_all(cache: &Path) -> Result<(Vec<Built>, PathBuf)> {
    let folder = folder(cache);
    let index = folder.join("images.json");
    if let Ok(bytes) = std::fs::read(&index) {
        let images = serde_json::from_slice(&bytes).context("read the list of cached images")?;
        return Ok((images, folder));
    }
    let blobs = Blobs::open(&folder)?;
    let mut images = base_images(cache, &blobs)?;
    images.extend(tool_images(cache, &blobs)?);
    // The list is written last and whole: a cache without it is made again.
    let unfinished = folder.join("images.json.new");
    std::fs::write(&unfinished, serde_json::to_vec_pretty(&images)?)?;
    std::fs::rename(&unfinished, &index)?;
    Ok((images, folder))
}

/// Makes all images twice, in two empty folders, and fails where a digest differs.
pub(crate) fn made_twice_alike() -> Result<()> {
    let digests = || {
        let cache = tempfile::tempdir()?;
        let (images, _) = build_all(cache.path())?;
        let named = |image: &Built| format!("{}@{}", image.name, image.digest);
        anyhow::Ok(images.iter().map(named).collect::<Vec<_>>())
    };
    let (first, second) = (digests()?, digests()?);
    anyhow::ensure!(
        first == second,
        "two makings differ:\n{first:#?}\n{second:#?}"
    );
    println!("{}", first.join("\n"));
    Ok(())
}

/// Whether the cache has them all.
pub(crate) fn is_cached(cache: &Path) -> bool {
    folder(cache).join("images.json").is_file()
}

fn folder(cache: &Path) -> PathBuf {
    cache.join("images").join(&recipe_hash()[..16])
}

/// Where this process makes root file systems, told by its number from others' that were left.
pub(crate) fn scratch_prefix(pid: i32) -> String {
    format!("sallyport-rootfs-{pid}-")
}

/// `base/python` (Debian and Python) and `base/python-dev` (and pip, and pytest), which shares its first layer.
fn base_images(cache: &Path, blobs: &Blobs) -> Result<Vec<Built>> {
    let scratch = tempfile::Builder::new()
        .prefix(&scratch_prefix(i32::try_from(std::process::id())?))
        .tempdir_in(cache)?;
    let trees = rootfs::make(scratch.path())?;
    let runtime = trees.runtime.layer()?;
    let development = trees.development.difference(&trees.runtime).layer()?;
    let start = Start {
        entrypoint: &[],
        command: &["python3"],
    };
    Ok(vec![
        image(blobs, "base/python", &[&runtime], &start)?,
        image(blobs, "base/python-dev", &[&runtime, &development], &start)?,
    ])
}

/// One image a tool: nothing but its static program.
fn tool_images(cache: &Path, blobs: &Blobs) -> Result<Vec<Built>> {
    let lock = wheel::Lock::read()?;
    let mut images = Vec::new();
    for tool in lock.of("tool") {
        let inside = tool
            .program
            .as_deref()
            .context("a tool without a program in the lock")?;
        let name = inside.rsplit('/').next().unwrap_or(inside);
        let program = wheel::extract(&wheel::download(tool, &cache.join("wheels"))?, inside)?;
        let path = format!("usr/bin/{name}");
        let mut tree = Tree::default();
        tree.add_folder("tmp", 0o1777);
        tree.add_file(&path, 0o755, program);
        let entrypoint = format!("/{path}");
        let start = Start {
            entrypoint: &[&entrypoint],
            command: &[],
        };
        images.push(image(
            blobs,
            &format!("tools/{name}"),
            &[&tree.layer()?],
            &start,
        )?);
    }
    Ok(images)
}

fn recipe_hash() -> String {
    let recipe = format!(
        "{WRITER} {EPOCH} {:?} {:?} {:?} {:?} {}",
        rootfs::RUNTIME,
        rootfs::DEVELOPMENT,
        rootfs::SOURCES,
        rootfs::EXCLUDED,
        wheel::LOCK
    );
    hex::encode(Sha256::digest(recipe))
}
