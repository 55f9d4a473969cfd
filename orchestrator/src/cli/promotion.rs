//! `sallyport promotion list|show|wait|request|withdraw|give-up`.
//!
//! Approving is not here: an approval is given by a person in a fresh sign-in, on the page.

use super::client::{Answer, Client};
use super::shown::{each, printable, text};
use super::{LOOK, exit, say};
use crate::config::Place;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum PromotionCommand {
    /// The newest promotions of a project.
    List {
        /// The project.
        project: String,
    },
    /// A promotion with every condition of its gate.
    Show(Which),
    /// Wait for a promotion's end: 0 when it is applied, 1 when it is not.
    Wait(Which),
    /// Ask that a run's release enters an environment; whoever asks cannot approve.
    Request {
        /// The project.
        project: String,
        /// The environment.
        environment: String,
        /// The run's number.
        #[arg(long)]
        run: i64,
    },
    /// Take your own request back while it waits.
    Withdraw(Which),
    /// End one that is applied and does not come to its end.
    GiveUp {
        #[command(flatten)]
        which: Which,
        /// Why: it is kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The promotion's id.
    id: String,
}

impl Which {
    fn path(&self) -> String {
        format!("/api/v1/promotions/{}", self.id)
    }
}

pub(super) async fn run(config: &Place, command: PromotionCommand) -> anyhow::Result<u8> {
    let client = Client::open(config)?;
    match command {
        PromotionCommand::List { project } => {
            let path = format!("/api/v1/projects/{project}/promotions");
            let all = client.get::<Vec<Value>>(&path).await?;
            Ok(shown(all, |all| all.iter().for_each(show)))
        }
        PromotionCommand::Show(which) => {
            let one = client.get::<Value>(&which.path()).await?;
            Ok(shown(one, |one| show(&one)))
        }
        PromotionCommand::Wait(which) => wait(&client, &which).await,
        PromotionCommand::Request {
            project,
            environment,
            run,
        } => {
            let path = format!("/api/v1/projects/{project}/environments/{environment}/promotions");
            let made = client.post::<Value>(&path, &json!({ "run": run })).await?;
            Ok(shown(made, |made| show(&made)))
        }
        PromotionCommand::Withdraw(which) => {
            let path = format!("{}/withdraw", which.path());
            let ended = client.post::<Value>(&path, &json!({})).await?;
            Ok(shown(ended, |ended| show(&ended)))
        }
        PromotionCommand::GiveUp { which, reason } => {
            let path = format!("{}/give-up", which.path());
            let asked = client
                .post::<Value>(&path, &json!({ "reason": reason }))
                .await?;
            Ok(shown(asked, |_| {
                say("asked for: it ends within minutes, with the tags that stand");
            }))
        }
    }
}

fn shown<T>(answer: Answer<T>, show: impl FnOnce(T)) -> u8 {
    match answer {
        Answer::Good(value) => {
            show(value);
            exit::YES
        }
        Answer::Refused(code) => code,
    }
}

async fn wait(client: &Client, which: &Which) -> anyhow::Result<u8> {
    loop {
        let promotion = match client.get::<Value>(&which.path()).await? {
            Answer::Good(promotion) => promotion,
            Answer::Refused(code) => return Ok(code),
        };
        let code = match text(&promotion, "state").as_str() {
            "requested" | "waiting" | "applying" => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            "applied" => exit::YES,
            _ => exit::NO,
        };
        show(&promotion);
        return Ok(code);
    }
}

fn show(promotion: &Value) {
    let [id, environment, state, cause] =
        ["id", "environment", "state", "cause"].map(|key| text(promotion, key));
    let cause = if cause.is_empty() {
        cause
    } else {
        format!(": {cause}")
    };
    let number = promotion.get("number").unwrap_or(&Value::Null);
    say(&printable(&format!(
        "promotion {number} to {environment} {state}{cause}  {id}"
    )));
    let progress = text(promotion, "progress");
    if !progress.is_empty() {
        say(&printable(&format!("  {progress}")));
    }
    for condition in each(promotion, "conditions") {
        let [state, title, value, wanted, detail] =
            ["state", "title", "value", "wanted", "detail"].map(|key| text(condition, key));
        say(&printable(&format!(
            "  {state:<8} {title}: {value} (wanted: {wanted}). {detail}"
        )));
    }
}
