//! Fetching, by the `git` program: it speaks https and ssh, and reads a repository of another user,
//! which libgit2 refuses. Nothing of this host's git configuration gets in; no hook, no other protocol,
//! no prompt.

use super::error::SourceError;
use crate::config::Source;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A first fetch of a large repository takes minutes.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What git says is for people; the end of it says why.
const SAID_BYTES_MAX: usize = 2_000;
/// How git says that a forge wants to know who asks.
const DENIED: [&str; 2] = ["could not read Username", "Authentication failed"];
const MEND: &str = " (the server's names and tokens for https are in `[source] credentials-file`)";
/// What is mirrored: branches and tags, as they are now. What is gone is pruned first: a branch `rel` that
/// is left here would forbid a branch `rel/1` for ever. No object goes away by that, and commits that runs
/// are made of have refs of their own.
const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// Takes away locks that a git left which was killed with its host: none that lives holds one for longer
/// than a fetch may take, and git itself would refuse that mirror for ever.
fn sweep_locks(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(is) = entry.metadata() else { continue };
        if is.is_dir() {
            // Objects are written under names of their own, never under a lock, and are many.
            if path.file_name().is_none_or(|name| name != "objects") {
                sweep_locks(&path);
            }
        } else if path.extension().is_some_and(|end| end == "lock")
            && is
                .modified()
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > TIMEOUT))
        {
            tracing::warn!(lock = %path.display(), "took away a lock that a killed git left");
            drop(std::fs::remove_file(&path));
        }
    }
}

/// Fetches branches and tags of `address` into the bare repository `into`. `config` is a file that this
/// function writes: git's whole configuration.
pub(super) async fn fetch(
    project: &str,
    into: &Path,
    config: &Path,
    address: &str,
    access: &Source,
) -> Result<(), SourceError> {
    let failed = |problem: String| SourceError::Git {
        project: project.to_owned(),
        problem,
    };
    sweep_locks(into);
    write_config(config, into, address, access)
        .map_err(|e| failed(format!("write {}: {e}", config.display())))?;
    let mut git = tokio::process::Command::new("git");
    git.arg("--git-dir")
        .arg(into)
        .args([
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ])
        .args(["--no-auto-maintenance", "--end-of-options", address])
        .args(REFSPECS)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", config)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file:https:ssh")
        .env(
            "GIT_SSH_COMMAND",
            "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 \
             -o ServerAliveInterval=15 -o ServerAliveCountMax=4",
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = git.spawn().map_err(|e| failed(format!("start git: {e}")))?;
    let ended = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await;
    let output = match ended {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(format!("wait for git: {error}"))),
        Err(_) => {
            return Err(failed(format!(
                "git did not end within {} s",
                TIMEOUT.as_secs()
            )));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said
        .trim()
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .take(SAID_BYTES_MAX)
        .collect();
    let denied = DENIED.iter().any(|words| said.contains(words));
    let mend = if denied { MEND } else { "" };
    Err(failed(format!("{said}{mend}")))
}

/// Git's own reader of the operator's file. It is asked only for what the address' host may have, and never
/// told to forget what a forge has refused: the file is not ours to change.
fn credential_helper(file: &Path) -> String {
    let file = file.display().to_string().replace('\'', r"'\''");
    format!("!f() {{ test \"$1\" = get && git credential-store --file '{file}' get; }}; f")
}

/// `safe.directory` for exactly the repository that is fetched, when it is one of this host; objects of
/// others are checked as they come.
fn write_config(config: &Path, into: &Path, address: &str, access: &Source) -> std::io::Result<()> {
    let mut text = String::from(
        "[transfer]\n\tfsckObjects = true\n[core]\n\thooksPath = /dev/null\n[gc]\n\tauto = 0\n",
    );
    // A host that takes the connection and says nothing is given up before the whole time is over.
    text.push_str("[http]\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 120\n");
    let path = address.strip_prefix("file://").unwrap_or(address);
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    if let Some(file) = &access.ca_file {
        let file = quoted(&file.display().to_string());
        text.push_str(&format!("\tsslCAInfo = \"{file}\"\n"));
    }
    if let Some(file) = &access.credentials_file {
        let helper = quoted(&credential_helper(file));
        text.push_str(&format!("[credential]\n\thelper = \"{helper}\"\n"));
    }
    text.push_str("[safe]\n");
    if path.starts_with('/') {
        text.push_str(&format!("\tdirectory = \"{}\"\n", quoted(path)));
        // A checkout's repository lies in its `.git`.
        text.push_str(&format!(
            "\tdirectory = \"{}/.git\"\n",
            quoted(path.trim_end_matches('/'))
        ));
    }
    text.push_str(&format!(
        "\tdirectory = \"{}\"\n",
        quoted(&into.display().to_string())
    ));
    std::fs::write(config, text)
}
