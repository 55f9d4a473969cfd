//! Makes a hook at the server and its post-receive in a bare repository.

use super::held::Held;
use super::spool::{FOLDER, RECEIVER, Receiver, WAITING};
use super::{ProviderWord, add};
use crate::cli::client::{Answer, Client};
use crate::cli::{complain, exit, say};
use crate::clock::SystemClock;
use crate::config::Place;
use crate::id::{IdSource as _, SystemIds};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// By this line our own hook is known again.
const MARK: &str = "# Written by `sallyport hook install`.";

/// In the folder of a repository's hooks.
const SCRIPT: &str = "post-receive";

pub(super) async fn install(
    config: &Place,
    repository: &Path,
    project: Option<String>,
    pusher: Option<String>,
) -> anyhow::Result<u8> {
    let repository = std::fs::canonicalize(repository)
        .with_context(|| format!("look at {}", repository.display()))?;
    let places = Places::take(&repository)?;
    let script = places.script()?;
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
    let before = places.receiver();
    let receiver = Receiver { url, secret };
    let line = line(&repository)?;
    places.write(&receiver, &script, &line)?;
    if let Some(before) = before {
        switch_off(&client, &project, &before.url).await?;
    }
    warn(&repository);
    let shown = repository.display();
    if script.is_foreign_without(&line) {
        complain(&format!(
            "error: {shown}/hooks/{SCRIPT} is there already and stays as it is: no push is told until this \
             line is in it, with git's own standard input (the pushed refs) left for it:\n{line}"
        ));
        return Ok(exit::NO);
    }
    let url = &receiver.url;
    say(&format!("pushes to {shown} are delivered to {url}"));
    Ok(exit::YES)
}

/// The folders of a repository that are written to, held before anything is made at the server.
struct Places {
    spool: Held,
    hooks: Held,
}

/// The post-receive that is there.
enum Script {
    /// None, or one of ours.
    Ours,
    /// Somebody's.
    Foreign(Zeroizing<String>),
}

impl Script {
    fn is_foreign_without(&self, line: &str) -> bool {
        match self {
            Self::Ours => false,
            Self::Foreign(text) => !text.contains(line),
        }
    }
}

impl Places {
    fn take(repository: &Path) -> anyhow::Result<Self> {
        let top = Held::open(repository)?;
        if !top.has("objects") || !top.has("HEAD") {
            bail!("{} is not a bare git repository", repository.display());
        }
        let spool = top.folder(FOLDER, 0o700)?;
        spool.give_to_owner_of(&top)?;
        spool.folder(WAITING, 0o700)?.give_to_owner_of(&spool)?;
        // One that is there stays whose it is: an operator may keep hooks from whoever owns the rest.
        let hooks = top.folder("hooks", 0o755)?;
        Ok(Self { spool, hooks })
    }

    fn script(&self) -> anyhow::Result<Script> {
        Ok(match self.hooks.read(SCRIPT)? {
            Some(text) if !text.contains(MARK) => Script::Foreign(text),
            Some(_) | None => Script::Ours,
        })
    }

    fn receiver(&self) -> Option<Receiver> {
        let text = self.spool.read(RECEIVER).ok()??;
        Receiver::parse(&text)
    }

    /// Everything belongs to whoever the repository belongs to: its pushes read the secret.
    fn write(&self, receiver: &Receiver, script: &Script, line: &str) -> anyhow::Result<()> {
        self.spool.replace(RECEIVER, &receiver.text(), 0o600)?;
        match script {
            Script::Ours => {
                let text = format!("#!/bin/sh\n{MARK}\nexec {line}\n");
                self.hooks.replace(SCRIPT, &text, 0o755)
            }
            Script::Foreign(_) => Ok(()),
        }
    }
}

/// Says what keeps git from running the hook, or a push from being told.
fn warn(repository: &Path) {
    let config = repository.join("config");
    let own = ["--file".as_ref(), config.as_os_str()];
    let set = |key| asked(&own, key).or_else(|| asked(&["--system".as_ref()], key));
    if let Some(elsewhere) = set("core.hooksPath") {
        complain(&format!(
            "warning: core.hooksPath is {elsewhere}: git runs the hooks there, not this one"
        ));
    }
    if set("core.sharedRepository").is_some_and(|shared| is_shared(&shared)) {
        complain(
            "warning: core.sharedRepository lets other accounts push: only the repository's owner can read \
             the hook's secret, so their pushes would not be told",
        );
    }
}

/// What git says of a key in one file. Included files are not asked: they may be anybody's.
fn asked(place: &[&OsStr], key: &str) -> Option<String> {
    let git = std::process::Command::new("git")
        .args(["config", "--no-includes"])
        .args(place)
        .args(["--get", key])
        .output();
    let git = git.ok().filter(|output| output.status.success())?;
    let value = String::from_utf8_lossy(&git.stdout).trim().to_owned();
    (!value.is_empty()).then(|| contract::complaint::visible(&value))
}

/// As git reads `core.sharedRepository`.
fn is_shared(value: &str) -> bool {
    let not = ["umask", "false", "no", "off", "0"];
    !not.contains(&value.to_ascii_lowercase().as_str())
}

/// The hook that this one takes the place of is no entrance any more.
async fn switch_off(client: &Client, project: &str, url: &str) -> anyhow::Result<()> {
    let Some((_, id)) = url.rsplit_once("/hooks/") else {
        return Ok(());
    };
    let path = format!("/api/v1/projects/{project}/hooks/{id}/disable");
    match client.post::<Value>(&path, &serde_json::json!({})).await? {
        Answer::Good(_) => say(&format!("the hook before it, {url}, is switched off")),
        Answer::Refused(_) => complain(&format!(
            "the hook before it, {url}, could not be switched off in project {project}"
        )),
    }
    Ok(())
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
