//! `sallyport run list|show|wait|log|cancel|again`.

use super::client::{Answer, Client};
use super::shown::{each, printable, text};
use super::{LOOK, exit, say};
use crate::config::Place;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum RunCommand {
    /// The newest runs of a project.
    List {
        /// The project.
        project: String,
    },
    /// A run and its steps.
    Show(Which),
    /// Wait for a run's end: 0 when it is green, 1 when it is not.
    Wait(Which),
    /// A step's log.
    Log {
        #[command(flatten)]
        which: Which,
        /// The step.
        step: String,
        /// Go on until the run has ended.
        #[arg(long)]
        follow: bool,
    },
    /// End a run.
    Cancel(Which),
    /// Run the same trigger again, by the settings of now.
    Again(Which),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The project.
    project: String,
    /// The run's number in it.
    number: i64,
}

impl Which {
    fn path(&self) -> String {
        format!("/api/v1/projects/{}/runs/{}", self.project, self.number)
    }
}

pub(super) async fn run(config: &Place, command: RunCommand) -> anyhow::Result<u8> {
    let client = Client::open(config)?;
    match command {
        RunCommand::List { project } => list(&client, &project).await,
        RunCommand::Show(which) => match client.get::<Value>(&which.path()).await? {
            Answer::Good(run) => {
                show(&run);
                Ok(exit::YES)
            }
            Answer::Refused(code) => Ok(code),
        },
        RunCommand::Wait(which) => wait(&client, &which).await,
        RunCommand::Log {
            which,
            step,
            follow,
        } => log(&client, &which, &step, follow).await,
        RunCommand::Cancel(which) => {
            let path = format!("{}/cancel", which.path());
            match client.post::<Value>(&path, &json!({})).await? {
                Answer::Good(_) => {
                    say("asked for: steps under way end with their worker's next heartbeat");
                    Ok(exit::YES)
                }
                Answer::Refused(code) => Ok(code),
            }
        }
        RunCommand::Again(which) => {
            let path = format!("{}/again", which.path());
            match client.post::<Value>(&path, &json!({})).await? {
                Answer::Good(_) => {
                    say("asked for: the new run is the first of `sallyport run list` in a moment");
                    Ok(exit::YES)
                }
                Answer::Refused(code) => Ok(code),
            }
        }
    }
}

async fn list(client: &Client, project: &str) -> anyhow::Result<u8> {
    let path = format!("/api/v1/projects/{project}/runs");
    match client.get::<Vec<Value>>(&path).await? {
        Answer::Good(runs) => {
            runs.iter().for_each(show);
            Ok(exit::YES)
        }
        Answer::Refused(code) => Ok(code),
    }
}

async fn wait(client: &Client, which: &Which) -> anyhow::Result<u8> {
    loop {
        match client.get::<Value>(&which.path()).await? {
            Answer::Good(run) if is_over(&run) => {
                show(&run);
                let green = text(&run, "cause") == "passed";
                return Ok(if green { exit::YES } else { exit::NO });
            }
            Answer::Good(_) => tokio::time::sleep(LOOK).await,
            Answer::Refused(code) => return Ok(code),
        }
    }
}

async fn log(client: &Client, which: &Which, step: &str, follow: bool) -> anyhow::Result<u8> {
    let mut offset = 0_i64;
    loop {
        let over = match client.get::<Value>(&which.path()).await? {
            Answer::Good(run) => is_over(&run),
            Answer::Refused(code) => return Ok(code),
        };
        loop {
            let path = format!("{}/steps/{step}/log?offset={offset}", which.path());
            let (headers, text) = match client.get_text(&path).await? {
                Answer::Good(part) => part,
                Answer::Refused(code) => return Ok(code),
            };
            let number = |name: &str| -> anyhow::Result<i64> {
                Ok(headers
                    .get(name)
                    .context("no offset came")?
                    .to_str()?
                    .parse()?)
            };
            offset = number("sallyport-log-next")?;
            if !text.is_empty() {
                say(printable(&text).trim_end_matches('\n'));
            }
            if offset >= number("sallyport-log-end")? {
                break;
            }
        }
        if over || !follow {
            return Ok(exit::YES);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn show(run: &Value) {
    let cause = |value: &Value| match (text(value, "cause"), text(value, "cause_detail")) {
        (cause, _) if cause.is_empty() => String::new(),
        (cause, detail) if detail.is_empty() => format!(": {cause}"),
        (cause, detail) => format!(": {cause} ({detail})"),
    };
    let head = format!(
        "run {} {}{}  {} {}",
        run.get("number").unwrap_or(&Value::Null),
        text(run, "state"),
        cause(run),
        text(run, "ref_name"),
        text(run, "commit")
    );
    say(&printable(&head));
    for complaint in each(run, "complaints") {
        say(text(complaint, "rendered").trim_end());
    }
    for step in each(run, "steps") {
        let (name, kind, state) = (text(step, "name"), text(step, "kind"), text(step, "state"));
        say(&printable(&format!(
            "  {name}  {kind}  {state}{}",
            cause(step)
        )));
    }
}

fn is_over(run: &Value) -> bool {
    matches!(
        text(run, "state").as_str(),
        "finished" | "invalid" | "refused"
    )
}
