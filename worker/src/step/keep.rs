//! What of a step's work area is kept: artifacts and JUnit reports, by their patterns.

use super::archive::{self, ArchiveError};
use super::bench::{Bench, Stop, chain};
use crate::sandbox::Pod;
use contract::protocol::{ARTIFACT_BYTES_MAX, ARTIFACTS_MAX};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The longest name that an artifact may have.
const ARTIFACT_NAME_BYTES_MAX: usize = 255;

/// A file that is kept: the artifact's name, and where its bytes lie meanwhile.
struct Kept {
    name: String,
    file: PathBuf,
}

/// Reads the work area back and uploads what the patterns name.
pub(super) async fn keep(bench: &mut Bench<'_>, pod: &Pod) -> Result<(), Stop> {
    if bench.job.artifacts.is_empty() && bench.job.junit.is_empty() {
        return Ok(());
    }
    bench.lease.phase("collecting");
    let (artifacts, junit) = (globs(&bench.job.artifacts)?, globs(&bench.job.junit)?);
    let path = bench.folder.join("work.tar");
    // The work area cannot hold more than this; the rest is what tar adds to each file.
    let limit = bench.job.resources.work_bytes.saturating_mul(2) + 64 * 1024 * 1024;
    pod.take_file("/work/src", &path, limit).await?;
    let folder = bench.folder.join("kept");
    let chosen = tokio::task::spawn_blocking(move || {
        let chosen = choose(&path, limit, &folder, &artifacts, &junit);
        // What is kept lies apart now.
        std::fs::remove_file(&path).map_err(ArchiveError::Read)?;
        chosen
    })
    .await
    .map_err(|error| Stop::Infrastructure(error.to_string()))??;
    for (pattern, what) in unmatched(bench, &chosen)? {
        bench.log.line(&format!("no file matches {what} {pattern}"));
    }
    // One at a time: an artifact may be large, and there may be many.
    for kept in chosen {
        let bytes = tokio::fs::read(&kept.file)
            .await
            .map_err(ArchiveError::Read)?;
        let line = format!("kept {} ({} bytes)", kept.name, bytes.len());
        bench.upload(kept.name, bytes).await?;
        bench.log.line(&line);
    }
    Ok(())
}

/// Copies what the patterns name into the folder.
fn choose(
    archive: &Path,
    limit: u64,
    folder: &Path,
    artifacts: &GlobSet,
    junit: &GlobSet,
) -> Result<Vec<Kept>, Stop> {
    let mut chosen = Vec::new();
    std::fs::create_dir_all(folder).map_err(ArchiveError::Read)?;
    archive::each_file_of::<Stop>(archive, limit, |entry| {
        // The engine packs the folder itself: `src/…`.
        let path = entry.path.strip_prefix("src/").unwrap_or(&entry.path);
        let mut names = Vec::new();
        if junit.is_match(path) {
            names.push(format!("junit/{path}"));
        }
        if artifacts.is_match(path) {
            names.push(format!("files/{path}"));
        }
        if names.is_empty() {
            return Ok(());
        }
        if entry.bytes > ARTIFACT_BYTES_MAX {
            return Err(Stop::Failed(format!(
                "{path} is larger than an artifact may be ({ARTIFACT_BYTES_MAX} bytes)"
            )));
        }
        // A name of ours: the step's own could be anything.
        let file = folder.join(chosen.len().to_string());
        let mut out = std::fs::File::create(&file).map_err(ArchiveError::Read)?;
        std::io::copy(&mut entry.content.take(ARTIFACT_BYTES_MAX), &mut out)
            .map_err(ArchiveError::Read)?;
        for name in names {
            if chosen.len() >= ARTIFACTS_MAX {
                return Err(Stop::Failed(format!(
                    "the patterns match more than {ARTIFACTS_MAX} files"
                )));
            }
            if name.len() > ARTIFACT_NAME_BYTES_MAX
                || name.contains('\\')
                || name.chars().any(char::is_control)
            {
                return Err(Stop::Failed(format!(
                    "{name:?} is no name for an artifact: at most {ARTIFACT_NAME_BYTES_MAX} bytes, no backslash, no control character"
                )));
            }
            chosen.push(Kept {
                name,
                file: file.clone(),
            });
        }
        Ok(())
    })?;
    Ok(chosen)
}

/// The patterns that no file matched.
fn unmatched(bench: &Bench<'_>, chosen: &[Kept]) -> Result<Vec<(String, &'static str)>, Stop> {
    let mut none = Vec::new();
    for (patterns, prefix, what) in [
        (&bench.job.artifacts, "files/", "the artifact pattern"),
        (&bench.job.junit, "junit/", "the JUnit pattern"),
    ] {
        for pattern in patterns {
            let one = globs(std::slice::from_ref(pattern))?;
            let mut names = chosen.iter().filter_map(|f| f.name.strip_prefix(prefix));
            if !names.any(|name| one.is_match(name)) {
                none.push((pattern.clone(), what));
            }
        }
    }
    Ok(none)
}

fn globs(patterns: &[String]) -> Result<GlobSet, Stop> {
    let refused = |error: globset::Error| Stop::Refused(chain(&error));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(
            GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(refused)?,
        );
    }
    set.build().map_err(refused)
}
