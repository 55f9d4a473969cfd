//! Makes a hook at the server and its post-receive in a bare repository.

use super::spool::{Receiver, Spool};
use super::{ProviderWord, add};
use crate::cli::client::{Answer, Client};
use crate::cli::{complain, exit, say};
use crate::clock::SystemClock;
use crate::config::Place;
use crate::id::{IdSource as _, SystemIds};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use serde_json::Value;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// By this line our own hook is known again.
const MARK: &str = "# Written by `sallyport hook install`.";

pub(super) async fn install(
    config: &Place,
    repository: &Path,
    project: Option<String>,
    pusher: Option<String>,
) -> anyhow::Result<u8> {
    let repository = std::fs::canonicalize(repository)
        .with_context(|| format!("look at {}", repository.display()))?;
    if !repository.join("objects").is_dir() || !repository.join("HEAD").is_file() {
        bail!("{} is not a bare git repository", repository.display());
    }
    let script = repository.join("hooks").join("post-receive");
    if let Ok(there) = std::fs::read_to_string(&script)
        && !there.contains(MARK)
    {
        complain(&format!(
            "error: {} is there already: add the line `{}` to it, after `sallyport hook add`",
            script.display(),
            line(&repository)?
        ));
        return Ok(exit::NO);
    }
    let client = Client::open(config)?;
    let project = match project {
        Some(project) => project,
        None => find_project(&client, &repository).await?,
    };
    let secret = new_secret();
    let added = add(
        &client,
        &project,
        ProviderWord::Git,
        &secret,
        pusher.as_deref(),
    )
    .await?;
    let url = match added {
        Answer::Good(url) => url,
        Answer::Refused(code) => return Ok(code),
    };
    let before = Spool::of(&repository).receiver().ok();
    let receiver = Receiver { url, secret };
    write(&repository, &script, &receiver)?;
    say(&format!(
        "pushes to {} are delivered to {}",
        repository.display(),
        receiver.url
    ));
    match before {
        Some(before) => switch_off(&client, &project, &before.url).await,
        None => Ok(exit::YES),
    }
}

/// The hook that this one takes the place of is no entrance any more.
async fn switch_off(client: &Client, project: &str, url: &str) -> anyhow::Result<u8> {
    let Some((_, id)) = url.rsplit_once("/hooks/") else {
        return Ok(exit::YES);
    };
    let path = format!("/api/v1/projects/{project}/hooks/{id}/disable");
    match client.post::<Value>(&path, &serde_json::json!({})).await? {
        Answer::Good(_) => say(&format!("the hook before it, {url}, is switched off")),
        Answer::Refused(_) => complain(&format!(
            "the hook before it, {url}, could not be switched off in project {project}"
        )),
    }
    Ok(exit::YES)
}

/// 32 random bytes in the form of Standard Webhooks.
fn new_secret() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemIds::new(Arc::new(SystemClock)).random(&mut *bytes);
    let text = base64::engine::general_purpose::STANDARD.encode(*bytes);
    Zeroizing::new(format!("whsec_{text}"))
}

/// The project whose settings name this repository as its source.
async fn find_project(client: &Client, repository: &Path) -> anyhow::Result<String> {
    let Answer::Good(projects) = client.get::<Vec<Value>>("/api/v1/projects").await? else {
        bail!("the projects cannot be listed: give --project");
    };
    for project in projects {
        let Some(name) = project.get("name").and_then(Value::as_str) else {
            continue;
        };
        let path = format!("/api/v1/projects/{name}/settings");
        let Answer::Good(settings) = client.get::<Value>(&path).await? else {
            continue;
        };
        let document = settings
            .get("document")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Ok(settings) = contract::settings::check("settings", document.as_bytes()) else {
            continue;
        };
        let source = PathBuf::from(settings.git.trim_start_matches("file://"));
        if std::fs::canonicalize(source).is_ok_and(|source| source == repository) {
            return Ok(name.to_owned());
        }
    }
    bail!(
        "no project has {} as its source: give --project",
        repository.display()
    )
}

/// What the hook runs.
fn line(repository: &Path) -> anyhow::Result<String> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(format!(
        "{} hook deliver --repository {}",
        quoted(&own),
        quoted(repository)
    ))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Everything belongs to whoever the repository belongs to: its pushes read the secret.
fn write(repository: &Path, script: &Path, receiver: &Receiver) -> anyhow::Result<()> {
    let owner = std::fs::metadata(repository)?;
    let spool = Spool::of(repository);
    let own = |path: &Path| -> anyhow::Result<()> {
        if nix::unistd::geteuid().is_root() {
            chown(path, Some(owner.uid()), Some(owner.gid()))
                .with_context(|| format!("chown {}", path.display()))?;
        }
        Ok(())
    };
    for folder in [spool.folder().to_owned(), spool.waiting_folder()] {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        own(&folder)?;
    }
    let (path, text) = spool.receiver_file(receiver);
    let beside = path.with_extension("new");
    drop(std::fs::remove_file(&beside));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .with_context(|| format!("write {}", beside.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    own(&beside)?;
    std::fs::rename(&beside, &path)?;
    if let Some(folder) = script.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = format!("#!/bin/sh\n{MARK}\nexec {}\n", line(repository)?);
    std::fs::write(script, text).with_context(|| format!("write {}", script.display()))?;
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755))?;
    own(script)
}
