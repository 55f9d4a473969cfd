//! The main story: a signed push becomes a promotion into prod that one person requested and another
//! approved. It looks at where things stand and does what is next, so that it goes on after a crash
//! anywhere.

use crate::database::Look;
use crate::house::{DEVELOPER, HOOK_SECRET, House, MANAGER};
use crate::people::{Act, Person};
use crate::ready_made;
use crate::repository;
use crate::script::{Script, Tend};
use anyhow::{bail, ensure};
use orchestrator::clock::{Clock as _, SystemClock};
use orchestrator::delivery::{self, GitBody, GitRef};
use std::time::{Duration, Instant};

/// A story with one crash in it takes a few seconds; a machine that does much else needs longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A claim waits so long: a story that waits for something else has nothing to claim.
const CLAIM_MS: u64 = 300;

/// A push that is told to the hook: sent as often as needed, it is one delivery.
pub struct Push {
    url: String,
    id: String,
    body: Vec<u8>,
}

impl Push {
    /// Of this commit on main, to this hook.
    pub fn of(url: String, commit: &str) -> anyhow::Result<Self> {
        let body = GitBody {
            v: 1,
            kind: "push".to_owned(),
            nonce: commit.to_owned(),
            pusher: Some(DEVELOPER.to_owned()),
            refs: vec![GitRef {
                ref_name: "refs/heads/main".to_owned(),
                before: "0".repeat(40),
                after: commit.to_owned(),
            }],
        };
        Ok(Self {
            url,
            id: format!("push-{commit}"),
            body: serde_json::to_vec(&body)?,
        })
    }

    /// Sends it, signed anew; whether it was taken. `Err` is a server that does not answer.
    pub async fn send(&self) -> Result<bool, reqwest::Error> {
        let now = SystemClock.now().seconds();
        let key = delivery::key_of_git(HOOK_SECRET).unwrap_or_default();
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let response = http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", now.to_string())
            .header(
                "webhook-signature",
                delivery::sign_git(&key, &self.id, now, &self.body),
            )
            .body(self.body.clone())
            .send()
            .await?;
        Ok(response.status().is_success())
    }

    /// Sends it until there is an answer.
    pub async fn until_taken(&self, server: &mut impl Tend) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            server.tend()?;
            match self.send().await {
                Ok(true) => return Ok(()),
                Ok(false) => bail!("the delivery was refused"),
                Err(_) => ensure!(Instant::now() < until, "the delivery was not taken in time"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Where the story stands.
#[derive(Debug, Default)]
pub struct Standing {
    /// The run's state and cause.
    pub run: Option<(String, Option<String>)>,
    /// Promotions: environment, state, id.
    pub promotions: Vec<(String, String, String)>,
    /// Whether somebody's answer stands.
    pub answered: bool,
}

impl Standing {
    /// Reads it.
    pub async fn read(look: &mut Look) -> anyhow::Result<Self> {
        let mut this = Self::default();
        let columns = look.array(&[("state", false), ("cause", false)]);
        let runs = look.rows(&format!("SELECT {columns} FROM run")).await?;
        ensure!(runs.len() < 2, "{} runs of one push", runs.len());
        if let Some([Some(state), cause]) = runs.first().map(Vec::as_slice) {
            this.run = Some((state.clone(), cause.clone()));
        }
        let columns = look.array(&[("environment", false), ("state", false), ("id", false)]);
        let sql = format!("SELECT {columns} FROM promotion");
        for row in look.rows(&sql).await? {
            let text = |n: usize| row.get(n).cloned().flatten().unwrap_or_default();
            this.promotions.push((text(0), text(1), text(2)));
        }
        let column = look.array(&[("id", false)]);
        let sql = format!("SELECT {column} FROM approval WHERE void_at IS NULL");
        this.answered = !look.rows(&sql).await?.is_empty();
        Ok(this)
    }

    /// The state of the promotion into an environment, and its id.
    pub fn promotion(&self, environment: &str) -> Option<(&str, &str)> {
        let found = self.promotions.iter().find(|(of, _, _)| of == environment);
        found.map(|(_, state, id)| (state.as_str(), id.as_str()))
    }

    /// Whether the run has ended.
    pub fn run_is_over(&self) -> bool {
        let over = |state: &str| matches!(state, "finished" | "invalid" | "refused");
        self.run.as_ref().is_some_and(|(state, _)| over(state))
    }

    /// Fails when the run or a promotion has ended in another way than well.
    pub fn goes_well(&self) -> anyhow::Result<()> {
        if let Some((state, cause)) = self.run.as_ref().filter(|_| self.run_is_over()) {
            ensure!(cause.as_deref() == Some("passed"), "{state}: {cause:?}");
        }
        for (environment, state, _) in &self.promotions {
            let ended = matches!(state.as_str(), "failed" | "void" | "superseded");
            ensure!(!ended, "{environment}: {state}");
        }
        Ok(())
    }

    /// Whether an environment holds the release.
    pub fn is_in(&self, environment: &str) -> bool {
        matches!(self.promotion(environment), Some(("applied", _)))
    }
}

/// Everybody who acts in it.
pub struct Story {
    /// The push.
    pub push: Push,
    /// The worker.
    pub script: Script,
    people: People,
}

/// Who requests and who approves.
pub struct People {
    developer: Person,
    manager: Person,
    entrance: String,
}

impl People {
    /// Nobody is signed in at this entrance.
    pub fn new(entrance: &str) -> anyhow::Result<Self> {
        Ok(Self {
            developer: Person::new(DEVELOPER, entrance)?,
            manager: Person::new(MANAGER, entrance)?,
            entrance: entrance.to_owned(),
        })
    }

    /// Does what is theirs, as things stand.
    pub async fn act(&mut self, standing: &Standing) -> anyhow::Result<Act> {
        match standing.promotion("prod") {
            None if standing.is_in("staging") => self.developer.requests("prod").await,
            Some(("requested" | "waiting", id)) if !standing.answered => {
                let reason = "Looked at staging; prices are right.";
                self.manager.approves(id, reason).await
            }
            None | Some(_) => Ok(Act::NotOffered),
        }
    }
}

impl Story {
    /// Nobody has done anything yet; the commit is there.
    pub fn new(house: &House, script: Script) -> anyhow::Result<Self> {
        let registry = house.ports.registry_name();
        let base = ready_made::base(&registry);
        let commit = repository::commit(
            &house.repository(),
            &[
                (
                    ".sallyport.yml",
                    &ready_made::PIPELINE.replace("@BASE@", &base),
                ),
                (
                    "Dockerfile",
                    &ready_made::DOCKERFILE.replace("@BASE@", &base),
                ),
                ("shop.py", "print('sold')\n"),
            ],
        )?;
        let url = house.ports.public_url();
        Ok(Self {
            push: Push::of(format!("{url}/hooks/{}", house.hook), &commit)?,
            script,
            people: People::new(&url)?,
        })
    }

    /// Everybody as they were: nobody is signed in, nothing is held.
    pub fn again(&mut self) -> anyhow::Result<()> {
        self.people = People::new(&self.people.entrance)?;
        Ok(())
    }

    /// Plays it from the push until prod holds the release.
    pub async fn play(&mut self, server: &mut impl Tend, look: &mut Look) -> anyhow::Result<()> {
        self.script.begins(server).await?;
        self.pushes(server).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            server.tend()?;
            let standing = Standing::read(look).await?;
            if standing.is_in("prod") {
                return Ok(());
            }
            ensure!(Instant::now() < until, "not over in time: {standing:?}");
            if !self.next(server, &standing).await? {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Tells the push as our own hook does: until there is an answer.
    pub async fn pushes(&self, server: &mut impl Tend) -> anyhow::Result<()> {
        self.push.until_taken(server).await
    }

    /// Does what is next; false when that is waiting.
    async fn next(&mut self, server: &mut impl Tend, standing: &Standing) -> anyhow::Result<bool> {
        if !standing.run_is_over() {
            self.script.turn(server, CLAIM_MS).await?;
            return Ok(true);
        }
        standing.goes_well()?;
        Ok(self.people.act(standing).await? == Act::Done)
    }

    /// Looks where things stand and lets the people do what is theirs; false when that is nothing.
    pub async fn people_act(&mut self, look: &mut Look) -> anyhow::Result<bool> {
        let standing = Standing::read(look).await?;
        let acted = self.people.act(&standing).await? == Act::Done;
        if !acted {
            tokio::time::sleep(LOOK).await;
        }
        Ok(acted)
    }
}
