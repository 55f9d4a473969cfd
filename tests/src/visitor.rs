//! Somebody who looks at pages: signs in, reads, sends forms, follows a log as a browser would.

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Response, StatusCode, redirect};
use std::time::Duration;

/// A page never takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A person with a session.
pub struct Visitor {
    http: Client,
    base: String,
    cookie: String,
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its kind; `message` when it names none.
    pub kind: String,
    /// Where to go on after it.
    pub id: String,
    /// What it says.
    pub data: serde_json::Value,
}

/// An open stream of events; dropping it cuts the connection.
pub struct Events {
    response: Response,
    pending: String,
}

impl Visitor {
    /// Signs in.
    pub async fn sign_in(base: &str, name: &str, password: &str) -> anyhow::Result<Self> {
        // Each cut stream is a connection of its own.
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()?;
        let form = [("name", name), ("password", password)];
        let response = http
            .post(format!("{base}/sign-in"))
            .form(&form)
            .send()
            .await?;
        ensure!(
            response.status() == StatusCode::SEE_OTHER,
            "not signed in: {}",
            response.status()
        );
        let cookie = response.headers().get("set-cookie").context("no cookie")?;
        let cookie = cookie
            .to_str()?
            .split(';')
            .next()
            .context("no cookie")?
            .to_owned();
        Ok(Self {
            http,
            base: base.to_owned(),
            cookie,
        })
    }

    /// The answer to a GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response> {
        let request = self.http.get(format!("{}{path}", self.base));
        Ok(request
            .header("cookie", &self.cookie)
            .timeout(PATIENCE)
            .send()
            .await?)
    }

    /// The text of a page that is there.
    pub async fn page(&self, path: &str) -> anyhow::Result<String> {
        let response = self.get(path).await?;
        ensure!(
            response.status() == StatusCode::OK,
            "{path}: {}",
            response.status()
        );
        Ok(response.text().await?)
    }

    /// Sends a form, with the token of the page that it is on.
    pub async fn send(
        &self,
        page: &str,
        to: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let html = self.page(page).await?;
        let (_, rest) = html
            .split_once("name=\"csrf\" value=\"")
            .context("no form here")?;
        let (csrf, _) = rest.split_once('"').context("no token")?;
        let mut form = vec![("csrf", csrf)];
        form.extend_from_slice(fields);
        let request = self.http.post(format!("{}{to}", self.base));
        let request = request
            .header("cookie", &self.cookie)
            .form(&form)
            .timeout(PATIENCE);
        Ok(request.send().await?)
    }

    /// Opens a stream of events, after the one with this id.
    pub async fn events(&self, path: &str, last: Option<&str>) -> anyhow::Result<Events> {
        let mut request = self
            .http
            .get(format!("{}{path}", self.base))
            .header("cookie", &self.cookie);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?;
        ensure!(
            response.status() == StatusCode::OK,
            "{path}: {}",
            response.status()
        );
        Ok(Events {
            response,
            pending: String::new(),
        })
    }
}

impl Events {
    /// The next event; none when the server has ended the stream.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some((block, rest)) = self.pending.split_once("\n\n") {
                let event = read(block)?;
                self.pending = rest.to_owned();
                match event {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            let part = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match part.context("nothing came")?? {
                // Chunks end at events' ends or inside ASCII: JSON escapes nothing else of ours.
                Some(bytes) => self.pending.push_str(&String::from_utf8(bytes.to_vec())?),
                None => return Ok(None),
            }
        }
    }
}

/// One event; none for a comment that keeps the connection open.
fn read(block: &str) -> anyhow::Result<Option<Event>> {
    let (mut kind, mut id, mut data) = ("message".to_owned(), String::new(), None);
    for line in block.lines() {
        match line.split_once(':') {
            Some(("", _)) => {}
            Some(("event", text)) => kind = text.trim().to_owned(),
            Some(("id", text)) => id = text.trim().to_owned(),
            Some(("data", text)) => data = Some(serde_json::from_str(text.trim())?),
            Some(_) | None => bail!("not a line of an event: {line}"),
        }
    }
    Ok(data.map(|data| Event { kind, id, data }))
}
