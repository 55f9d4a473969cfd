//! Root file systems from Debian's archive, by mmdebstrap.

use super::layer::{EPOCH, Tree};
use crate::program;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

/// What the runtime image holds besides Debian's essential packages.
pub(crate) const RUNTIME: &[&str] = &["python3-minimal", "libpython3-stdlib", "ca-certificates"];
/// What the image for building and testing holds besides.
pub(crate) const DEVELOPMENT: &[&str] = &["python3-pip", "python3-pytest"];
/// Where packages come from.
pub(crate) const SOURCES: &[&str] = &[
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bookworm-updates main",
    "deb http://deb.debian.org/debian-security bookworm-security main",
];

/// What packages bring and nobody here reads. The C headers, because nothing is compiled here and a scanner
/// takes one of them for a key.
pub(crate) const EXCLUDED: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/lib/*/perl/*/CORE/*",
];

/// Where the first tree lies until it is handed out, in a folder that no tree holds.
const KEPT: &str = "/var/cache/apt/kept.tar";

/// The file trees of both images, from one run: the second starts where the first ended.
pub(crate) struct Trees {
    pub(crate) runtime: Tree,
    pub(crate) development: Tree,
}

/// Makes both root file systems (about half a minute, most of it the download).
pub(crate) fn make(scratch: &Path) -> Result<Trees> {
    let runtime = scratch.join("runtime.tar");
    let development = scratch.join("development.tar");
    // The first hooks keep the tree as it is before pip and pytest come in. What a hook runs has the numbers of
    // the new root, which may not write into a plain user's folder: mmdebstrap itself hands the file out.
    let keep = format!(
        "tar --directory \"$1\" --one-file-system --exclude=./dev --exclude=./proc --exclude=./sys \
         --exclude=./var/cache/apt --exclude=./var/lib/apt -cf \"$1{KEPT}\" ."
    );
    let hand_out = format!("download {KEPT} '{}'", runtime.display());
    let more = format!(
        "rm \"$1{KEPT}\" && APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --yes -oDPkg::Chroot-Directory=\"$1\" install {}",
        DEVELOPMENT.join(" ")
    );
    program::quiet(
        Command::new("mmdebstrap")
            .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
            .env("TMPDIR", scratch)
            .args([
                "--variant=essential",
                "--aptopt=APT::Install-Recommends \"false\"",
            ])
            .args(
                EXCLUDED
                    .iter()
                    .map(|path| format!("--dpkgopt=path-exclude={path}")),
            )
            .arg(format!("--include={}", RUNTIME.join(",")))
            .arg(format!("--customize-hook={keep}"))
            .arg(format!("--customize-hook={hand_out}"))
            .arg(format!("--customize-hook={more}"))
            .arg("bookworm")
            .arg(&development)
            .args(SOURCES),
    )?;
    Ok(Trees {
        runtime: read(&runtime)?,
        development: read(&development)?,
    })
}

fn read(path: &Path) -> Result<Tree> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    Tree::read(BufReader::new(file))
}
