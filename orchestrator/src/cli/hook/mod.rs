//! `sallyport hook add|list|rotate|disable|install`, and what an installed hook runs.
//!
//! *Comes in*: a project, a secret; in an installed hook, what was pushed.
//! *Goes out*: calls of the API; deliveries, signed anew at each try.
//! *Owns*: the post-receive hook and the spool in the bare repository.
//! *Never*: a push that waits longer than one short try; a delivery dropped before it was taken.
//! *Before / After*: git's post-receive / `http::hooks`.

mod deliver;
mod held;
mod install;
mod spool;

use super::client::{Answer, Client};
use super::{exit, say};
use crate::config::Place;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ProviderWord {
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// A plain git repository: Standard Webhooks.
    Git,
}

#[derive(Debug, Subcommand)]
pub(super) enum HookCommand {
    /// Make an entrance for deliveries.
    Add {
        /// The project.
        project: String,
        /// Who sends.
        #[arg(long)]
        provider: ProviderWord,
        /// A file that holds the secret.
        #[arg(long)]
        secret_file: PathBuf,
        /// The person whose pushes these are, when only they can push.
        #[arg(long)]
        pusher: Option<String>,
    },
    /// The entrances of a project.
    List {
        /// The project.
        project: String,
    },
    /// Give an entrance another secret; the one before stays good for a while.
    Rotate {
        /// The project.
        project: String,
        /// The hook's id: `sallyport hook list` says it.
        hook: String,
        /// A file that holds the new secret.
        #[arg(long)]
        secret_file: PathBuf,
        /// For so many hours more the secret before is good; 0 when it has leaked.
        #[arg(long, default_value_t = 24)]
        keep_hours: u32,
    },
    /// Switch an entrance off: nothing comes in by it any more.
    Disable {
        /// The project.
        project: String,
        /// The hook's id: `sallyport hook list` says it.
        hook: String,
    },
    /// Make an entrance for a bare repository of this host, and its post-receive hook.
    Install {
        /// The bare repository.
        repository: PathBuf,
        /// The project; found by its `source` when it is not given.
        #[arg(long)]
        project: Option<String>,
        /// The person whose pushes these are, when only they can push.
        #[arg(long)]
        pusher: Option<String>,
    },
    /// What an installed hook runs: spools what was pushed, tries once, leaves the rest to a retry.
    #[command(hide = true)]
    Deliver {
        /// The bare repository.
        #[arg(long)]
        repository: PathBuf,
    },
    /// What a push leaves behind: sends what is spooled until it is taken.
    #[command(hide = true)]
    Retry {
        /// The bare repository.
        #[arg(long)]
        repository: PathBuf,
    },
}

pub(super) async fn run(config: &Place, command: HookCommand) -> anyhow::Result<u8> {
    match command {
        HookCommand::Add {
            project,
            provider,
            secret_file,
            pusher,
        } => {
            let secret = super::read_secret(&secret_file)?;
            let client = Client::open(config)?;
            match add(&client, &project, provider, &secret, pusher.as_deref()).await? {
                Answer::Good(url) => {
                    say(&format!("deliveries go to {url}"));
                    Ok(exit::YES)
                }
                Answer::Refused(code) => Ok(code),
            }
        }
        HookCommand::List { project } => list(&Client::open(config)?, &project).await,
        HookCommand::Rotate {
            project,
            hook,
            secret_file,
            keep_hours,
        } => {
            let secret = super::read_secret(&secret_file)?;
            let client = Client::open(config)?;
            let path = format!("/api/v1/projects/{project}/hooks/{hook}/secret");
            let body = json!({ "secret": &*secret, "keep_hours": keep_hours });
            let done =
                format!("rotated: {hook}; the secret before is good for {keep_hours} h more");
            let answer = client.post::<Value>(&path, &body).await?;
            if let Answer::Good(rotated) = &answer
                && rotated.get("provider").and_then(Value::as_str) == Some("git")
            {
                super::complain(
                    "a repository in which `sallyport hook install` put its hook still has the secret before: install again there",
                );
            }
            told(answer, &done)
        }
        HookCommand::Disable { project, hook } => {
            let client = Client::open(config)?;
            let path = format!("/api/v1/projects/{project}/hooks/{hook}/disable");
            let done = format!("switched off: {hook}");
            told(client.post::<Value>(&path, &json!({})).await?, &done)
        }
        HookCommand::Install {
            repository,
            project,
            pusher,
        } => install::install(config, &repository, project, pusher).await,
        HookCommand::Deliver { repository } => deliver::deliver(&repository).await,
        HookCommand::Retry { repository } => deliver::retry(&repository).await,
    }
}

fn told(answer: Answer<Value>, done: &str) -> anyhow::Result<u8> {
    Ok(match answer {
        Answer::Good(_) => {
            say(done);
            exit::YES
        }
        Answer::Refused(code) => code,
    })
}

async fn list(client: &Client, project: &str) -> anyhow::Result<u8> {
    let path = format!("/api/v1/projects/{project}/hooks");
    let hooks = match client.get::<Vec<Value>>(&path).await? {
        Answer::Good(hooks) => hooks,
        Answer::Refused(code) => return Ok(code),
    };
    for hook in hooks {
        let text = |key: &str| hook.get(key).and_then(Value::as_str).unwrap_or_default();
        let off = hook.get("disabled").and_then(Value::as_bool) == Some(true);
        let state = if off { "off" } else { "on" };
        say(&format!("{}  {:<6}  {state}", text("id"), text("provider")));
    }
    Ok(exit::YES)
}

/// Makes the hook at the server; where it listens.
async fn add(
    client: &Client,
    project: &str,
    provider: ProviderWord,
    secret: &str,
    pusher: Option<&str>,
) -> anyhow::Result<Answer<String>> {
    let provider = match provider {
        ProviderWord::Github => "github",
        ProviderWord::Git => "git",
    };
    let body = json!({ "provider": provider, "secret": secret, "pusher": pusher });
    let path = format!("/api/v1/projects/{project}/hooks");
    Ok(match client.post::<Value>(&path, &body).await? {
        Answer::Good(made) => {
            let url = made.get("url").and_then(Value::as_str).unwrap_or_default();
            Answer::Good(url.to_owned())
        }
        Answer::Refused(code) => Answer::Refused(code),
    })
}
