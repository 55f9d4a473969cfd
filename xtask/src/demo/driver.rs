//! A real browser, driven through WebDriver: Chromium by chromedriver, a fresh profile for each person.

use super::house::Person;
use super::place::Account;
use super::program::command;
use super::start::{Demo, FIRST_ANSWER};
use crate::postgres::free_port;
use crate::program;
use anyhow::{Context as _, Result, bail};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Nothing on a page takes longer, but for what the story waits for by itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(100);
/// As wide as a desk's screen; pictures are as high as their page, up to a bound.
const WIDTH: u32 = 1440;
const HEIGHT: u32 = 1000;
const PICTURE_HEIGHT_MAX: u64 = 1800;

/// chromedriver, as one of the demo's programs.
pub(crate) struct Driver {
    address: String,
}

impl Driver {
    /// Starts it under an account of the demo; it ends with the demo's other programs.
    pub(crate) fn start(demo: &mut Demo) -> Result<Self> {
        let driver = program::find("chromedriver").context("chromedriver is not installed")?;
        let home = demo.place.private("browser", Account::Developer)?;
        let port = free_port()?;
        let mut start = command(&demo.ledger, Some(Account::Developer), &driver);
        start.arg(format!("--port={port}"));
        // Profiles, caches and sockets lie in the run's folder and go with it.
        start.env("HOME", &home).env("TMPDIR", &home);
        demo.programs.start(&mut demo.ledger, "browser", start)?;
        demo.programs.wait_for("chromedriver", FIRST_ANSWER, || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(Self {
            address: format!("http://127.0.0.1:{port}"),
        })
    }

    /// A browser of its own for a person, signed in.
    pub(crate) async fn sign_in(&self, demo: &Demo, person: &Person) -> Result<Window> {
        let mut wanted = serde_json::Map::new();
        // Without its own sandbox: it needs user namespaces that a container may not have, and the only pages
        // that this browser opens are ours.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
            "--hide-scrollbars",
            format!("--window-size={WIDTH},{HEIGHT}"),
        ]);
        wanted.insert("goog:chromeOptions".to_owned(), json!({"args": arguments}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&self.address)
            .await
            .context("open a browser")?;
        let window = Window {
            client,
            origin: demo.url(),
        };
        window.open("/sign-in").await?;
        let form = "form[action='/sign-in']";
        window
            .fill(&format!("{form} [name=name]"), person.name)
            .await?;
        window
            .fill(&format!("{form} [name=password]"), &person.password)
            .await?;
        window.click(&format!("{form} button[type=submit]")).await?;
        window.find("form[action='/sign-out']").await?;
        demo.say(&format!("{} signs in, in a browser", person.name));
        Ok(window)
    }
}

/// One person's browser. Elements are named by what they do (a form's action, a field's name), not by how they look.
pub(crate) struct Window {
    client: Client,
    origin: String,
}

impl Window {
    /// Opens a page of the house.
    pub(crate) async fn open(&self, path: &str) -> Result<()> {
        let url = format!("{}{path}", self.origin);
        self.client
            .goto(&url)
            .await
            .with_context(|| format!("open {path}"))
    }

    /// The element, once it is there.
    pub(crate) async fn find(&self, selector: &str) -> Result<Element> {
        let wait = self.client.wait().at_most(PATIENCE).every(LOOK);
        match wait.for_element(Locator::Css(selector)).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let text = self.text().await.unwrap_or_default();
                Err(error).with_context(|| format!("find {selector} on this page:\n{text}"))
            }
        }
    }

    /// Whether the page has such an element now.
    pub(crate) async fn has(&self, selector: &str) -> Result<bool> {
        Ok(!self
            .client
            .find_all(Locator::Css(selector))
            .await?
            .is_empty())
    }

    /// Clicks it.
    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        let found = self.find(selector).await?;
        let clicked = found.click().await;
        clicked.with_context(|| format!("click {selector}"))
    }

    /// Types into it.
    pub(crate) async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.find(selector).await?;
        let typed = field.send_keys(text).await;
        typed.with_context(|| format!("type into {selector}"))
    }

    /// What a person reads on the page.
    pub(crate) async fn text(&self) -> Result<String> {
        let said = self.run("return document.body.innerText").await?;
        Ok(said.as_str().unwrap_or("").to_owned())
    }

    /// The page's path.
    pub(crate) async fn path(&self) -> Result<String> {
        Ok(self.client.current_url().await?.path().to_owned())
    }

    /// Where the page's links lead that begin so, each once, in order.
    pub(crate) async fn links(&self, start: &str) -> Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        let selector = format!("a[href^='{start}']");
        for link in self.client.find_all(Locator::Css(&selector)).await? {
            if let Some(path) = link.attr("href").await?
                && !found.contains(&path)
            {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Opens the page again and again until it has such an element.
    pub(crate) async fn reload_until(&self, path: &str, selector: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.open(path).await?;
            if self.has(selector).await? {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{path} does not come to have {selector}:\n{}",
                    self.text().await?
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Result<Value> {
        let answer = self.client.execute(script, Vec::new()).await;
        answer.with_context(|| format!("run {script}"))
    }

    /// A picture of the page as it is, from its top.
    pub(crate) async fn picture(&self, file: &Path) -> Result<()> {
        // A window is higher than what it shows by its bars, which a headless one has too.
        let script = "window.scrollTo(0, 0); \
                      return [document.documentElement.scrollHeight, outerHeight - innerHeight]";
        let sizes = self.run(script).await?;
        let page = sizes[0].as_u64().unwrap_or(0);
        let height =
            page.clamp(u64::from(HEIGHT), PICTURE_HEIGHT_MAX) + sizes[1].as_u64().unwrap_or(0);
        self.client
            .set_window_size(WIDTH, u32::try_from(height)?)
            .await?;
        let png = self.client.screenshot().await.context("take a picture")?;
        std::fs::write(file, png).with_context(|| format!("write {}", file.display()))?;
        self.client.set_window_size(WIDTH, HEIGHT).await?;
        Ok(())
    }

    /// Closes the browser.
    pub(crate) async fn close(self) -> Result<()> {
        self.client.close().await.context("close a browser")
    }
}
