//! `sallyport user add`, `sallyport user token`, `sallyport user list`.

use super::client::{Answer, Client};
use super::{exit, say};
use crate::config::Place;
use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// As the API reads them.
const ROLES: [&str; 5] = ["viewer", "developer", "release-manager", "auditor", "admin"];

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person with roles for all projects.
    Add {
        /// The name that they sign in with.
        name: String,
        /// The name that people read.
        #[arg(long)]
        display_name: Option<String>,
        /// An address that you vouch for: commits of it are theirs.
        #[arg(long)]
        email: Option<String>,
        /// May be given again.
        #[arg(long = "role", required = true, value_parser = ROLES)]
        roles: Vec<String>,
        /// A file that holds the first password.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Make a token with a person's rights, into a file only you can read. With their password it is
    /// one that they made themself; without, what is done by it counts as nobody's in particular, and
    /// a gate asks for one more approval.
    Token {
        /// Whose.
        name: String,
        /// A file that holds the person's password.
        #[arg(long)]
        password_file: Option<PathBuf>,
        /// What it is for.
        #[arg(long, default_value = "command line")]
        purpose: String,
        /// Where to write it; must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Everybody, with their roles.
    List,
}

pub(super) async fn run(config: &Place, command: UserCommand) -> anyhow::Result<u8> {
    let client = Client::open(config)?;
    match command {
        UserCommand::Add {
            name,
            display_name,
            email,
            roles,
            password_file,
        } => {
            let password = super::read_secret(&password_file)?;
            let body = json!({ "name": name, "display_name": display_name, "email": email,
                "roles": roles, "password": password.as_str() });
            match client.post::<Value>("/api/v1/users", &body).await? {
                Answer::Good(_) => say(&format!("added {name}: {}", roles.join(", "))),
                Answer::Refused(code) => return Ok(code),
            }
        }
        UserCommand::Token {
            name,
            password_file,
            purpose,
            out,
        } => {
            let password = password_file
                .as_deref()
                .map(super::read_secret)
                .transpose()?;
            let body =
                json!({ "name": purpose, "password": password.as_ref().map(|p| p.as_str()) });
            match client
                .post::<Value>(&format!("/api/v1/users/{name}/tokens"), &body)
                .await?
            {
                Answer::Good(made) => {
                    let token = made
                        .get("token")
                        .and_then(Value::as_str)
                        .context("no token came")?;
                    write_private(&out, token)?;
                    say(&format!("wrote a token of {name} to {}", out.display()));
                }
                Answer::Refused(code) => return Ok(code),
            }
        }
        UserCommand::List => match client.get::<Vec<Value>>("/api/v1/users").await? {
            Answer::Good(users) => {
                for user in users {
                    let text = |key: &str| {
                        user.get(key)
                            .and_then(Value::as_str)
                            .unwrap_or("")
                            .to_owned()
                    };
                    let roles = user
                        .get("roles")
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    say(&format!(
                        "{}  {}  {roles}",
                        text("name"),
                        text("display_name")
                    ));
                }
            }
            Answer::Refused(code) => return Ok(code),
        },
    }
    Ok(exit::YES)
}

/// Writes a secret into a new file that only this user can read.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("make {}", path.display()))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    Ok(())
}
