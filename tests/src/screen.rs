//! A real browser, for what a page's scripts do: Chromium, driven by chromedriver.

use anyhow::{Context as _, bail};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Nothing on a page takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// What chromedriver says when it listens.
const STARTED: &str = "started successfully on port ";

/// One browser with one window.
pub struct Screen {
    client: Client,
    base: String,
    driver: Child,
    // Profile, caches and sockets; gone with it.
    _home: tempfile::TempDir,
}

impl Screen {
    /// Opens a browser at this house.
    pub async fn open(base: &str) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver does not start: is chromium-driver installed?")?;
        let port = port_of(&mut driver).await?;
        // Without its own sandbox: it needs user namespaces that a container may not have, and the only
        // pages that this browser opens are ours.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
        ]);
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), json!({"args": arguments}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("open a browser")?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            driver,
            _home: home,
        })
    }

    /// Signs in, as a person does.
    pub async fn sign_in(&self, name: &str, password: &str) -> anyhow::Result<()> {
        self.goes("/sign-in").await?;
        for (field, text) in [("name", name), ("password", password)] {
            let field = format!("form[action='/sign-in'] [name={field}]");
            self.client
                .find(Locator::Css(&field))
                .await?
                .send_keys(text)
                .await?;
        }
        let button = "form[action='/sign-in'] button[type=submit]";
        self.client
            .find(Locator::Css(button))
            .await?
            .click()
            .await?;
        self.finds("form[action='/sign-out']").await
    }

    /// Opens a page.
    pub async fn goes(&self, path: &str) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.base);
        self.client.goto(&url).await.with_context(|| url)
    }

    /// Waits for an element.
    pub async fn finds(&self, selector: &str) -> anyhow::Result<()> {
        let wait = self.client.wait().at_most(PATIENCE);
        let found = wait.for_element(Locator::Css(selector)).await;
        found.with_context(|| format!("no {selector} on the page"))?;
        Ok(())
    }

    /// Runs a script in the page.
    pub async fn runs(&self, script: &str) -> anyhow::Result<Value> {
        let said = self.client.execute(script, Vec::new()).await;
        said.with_context(|| format!("run {script}"))
    }

    /// Closes it.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.client.close().await.context("close the browser")?;
        self.driver.kill().await?;
        Ok(())
    }
}

async fn port_of(driver: &mut Child) -> anyhow::Result<u16> {
    let out = driver.stdout.take().context("chromedriver says nothing")?;
    let mut lines = BufReader::new(out).lines();
    let read = async {
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once(STARTED) {
                return Ok(port.trim_end_matches('.').parse()?);
            }
        }
        bail!("chromedriver ended")
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .context("chromedriver does not listen")?
}
