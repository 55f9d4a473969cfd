//! `sallyport project apply`, `sallyport project settings`.

use super::client::{Answer, Client};
use super::{exit, say};
use crate::config::Place;
use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Apply a settings document; it makes the project when there is none.
    Apply {
        /// The document.
        file: PathBuf,
        /// The version that it was made from; without it, the one that holds now.
        #[arg(long)]
        from: Option<i64>,
    },
    /// Print the settings that hold.
    Settings {
        /// The project.
        project: String,
    },
}

pub(super) async fn run(config: &Place, command: ProjectCommand) -> anyhow::Result<u8> {
    match command {
        ProjectCommand::Apply { file, from } => apply(config, &file, from).await,
        ProjectCommand::Settings { project } => {
            let client = Client::open(config)?;
            let path = format!("/api/v1/projects/{project}/settings");
            match client.get::<Value>(&path).await? {
                Answer::Good(answer) => {
                    say(answer
                        .get("document")
                        .and_then(Value::as_str)
                        .unwrap_or_default());
                    Ok(exit::YES)
                }
                Answer::Refused(code) => Ok(code),
            }
        }
    }
}

async fn apply(config: &Place, file: &Path, from: Option<i64>) -> anyhow::Result<u8> {
    let document = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let checked = contract::settings::check_all(&file.display().to_string(), &document);
    for complaint in &checked.complaints {
        super::complain(&complaint.render());
    }
    let Some(settings) = checked.value else {
        return Ok(exit::NO);
    };
    let client = Client::open(config)?;
    let path = format!("/api/v1/projects/{}/settings", settings.project);
    let from = match from {
        Some(from) => from,
        None => current(&client, settings.project.as_str()).await?,
    };
    match client
        .put_bytes::<Value>(&format!("{path}?from={from}"), document)
        .await?
    {
        Answer::Good(answer) => {
            let version = answer.get("version").and_then(Value::as_i64).unwrap_or(0);
            let changed = answer
                .get("changed")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            let word = if changed { "applied" } else { "unchanged" };
            say(&format!(
                "{word}: {} settings version {version}",
                settings.project
            ));
            Ok(exit::YES)
        }
        Answer::Refused(code) => Ok(code),
    }
}

/// The version that holds; 0 when there is no such project yet.
async fn current(client: &Client, project: &str) -> anyhow::Result<i64> {
    let found = match client.get::<Vec<Value>>("/api/v1/projects").await? {
        Answer::Good(projects) => projects,
        Answer::Refused(_) => anyhow::bail!("the projects cannot be listed"),
    };
    let own = found
        .iter()
        .find(|p| p.get("name").and_then(Value::as_str) == Some(project));
    Ok(own
        .and_then(|p| p.get("settings_version"))
        .and_then(Value::as_i64)
        .unwrap_or(0))
}
