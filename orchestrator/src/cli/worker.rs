//! `sallyport worker token|list|drain|resume|revoke`.

use super::client::{Answer, Client};
use super::{exit, say};
use crate::config::Place;
use anyhow::Context as _;
use clap::Subcommand;
use contract::level::Level;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum WorkerCommand {
    /// Make a single-use enrolment token, into a file only you can read.
    Token {
        /// Where to write it; must not exist.
        #[arg(long)]
        out: PathBuf,
        /// The most that the worker may claim of how it holds containers apart (`docker-runc-userns`).
        #[arg(long)]
        level: Option<Level>,
    },
    /// Every worker, with what it says of itself.
    List,
    /// Let a worker end what it has and give it nothing new.
    Drain {
        /// Its name.
        name: String,
    },
    /// Let a drained worker work again.
    Resume {
        /// Its name.
        name: String,
    },
    /// Refuse a worker at the door, for ever.
    Revoke {
        /// Its name.
        name: String,
    },
}

pub(super) async fn run(config: &Place, command: WorkerCommand) -> anyhow::Result<u8> {
    let client = Client::open(config)?;
    match command {
        WorkerCommand::Token { out, level } => token(&client, &out, level).await,
        WorkerCommand::List => list(&client).await,
        WorkerCommand::Drain { name } => act(&client, &name, "drain").await,
        WorkerCommand::Resume { name } => act(&client, &name, "resume").await,
        WorkerCommand::Revoke { name } => act(&client, &name, "revoke").await,
    }
}

async fn act(client: &Client, name: &str, act: &str) -> anyhow::Result<u8> {
    let path = format!("/api/v1/workers/{name}/{act}");
    match client.post::<Value>(&path, &json!({})).await? {
        Answer::Good(_) => {
            say(&format!("{act}: {name}"));
            Ok(exit::YES)
        }
        Answer::Refused(code) => Ok(code),
    }
}

async fn list(client: &Client) -> anyhow::Result<u8> {
    match client.get::<Vec<Value>>("/api/v1/workers").await? {
        Answer::Good(workers) => {
            for worker in workers {
                let text = |key: &str| match worker.get(key) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => "-".to_owned(),
                    Some(other) => other.to_string(),
                };
                let columns = [
                    "name",
                    "standing",
                    "level",
                    "granted_level",
                    "slots",
                    "version",
                    "seen_at",
                ];
                say(&columns.map(text).join("  "));
            }
            Ok(exit::YES)
        }
        Answer::Refused(code) => Ok(code),
    }
}

async fn token(client: &Client, out: &Path, level: Option<Level>) -> anyhow::Result<u8> {
    let grant = json!({ "level": level });
    match client
        .post::<Value>("/api/v1/workers/tokens", &grant)
        .await?
    {
        Answer::Good(made) => {
            let token = made
                .get("token")
                .and_then(Value::as_str)
                .context("no token came")?;
            super::user::write_private(out, token)?;
            say(&format!(
                "wrote an enrolment token to {}; it is good once",
                out.display()
            ));
            Ok(exit::YES)
        }
        Answer::Refused(code) => Ok(code),
    }
}
