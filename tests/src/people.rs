//! People at the pages, as their browsers would send it: sign in, request, approve.

use crate::house::PASSWORD;
use anyhow::{Context as _, bail};
use reqwest::{RequestBuilder, StatusCode, header, redirect};
use std::time::Duration;

/// No page of a story takes longer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Somebody with a browser.
pub struct Person {
    name: &'static str,
    origin: String,
    http: reqwest::Client,
    cookie: Option<String>,
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It was done.
    Done,
    /// The page does not offer it now; look again.
    NotOffered,
    /// Nobody answered; look again.
    NoAnswer,
}

/// A page's answer: status, `Location`, text.
struct Page {
    status: StatusCode,
    location: Option<String>,
    text: String,
}

impl Person {
    /// Somebody who has the page open and is not signed in.
    pub fn new(name: &'static str, origin: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            name,
            origin: origin.to_owned(),
            http,
            cookie: None,
        })
    }

    /// Requests what may enter an environment next.
    pub async fn requests(&mut self, environment: &str) -> anyhow::Result<Act> {
        let Some(page) = self.page("/projects/shop/environments").await? else {
            return Ok(Act::NoAnswer);
        };
        let (Some(csrf), Some(release)) = (hidden(&page, "csrf"), hidden(&page, "release")) else {
            return Ok(Act::NotOffered);
        };
        let path = format!("/projects/shop/environments/{environment}");
        self.sends(&path, &[("csrf", csrf), ("release", release)])
            .await
    }

    /// Approves a promotion as it is shown.
    pub async fn approves(&mut self, promotion: &str, reason: &str) -> anyhow::Result<Act> {
        let path = format!("/promotions/{promotion}");
        let Some(page) = self.page(&path).await? else {
            return Ok(Act::NoAnswer);
        };
        let (Some(csrf), Some(evidence)) = (hidden(&page, "csrf"), hidden(&page, "evidence"))
        else {
            return Ok(Act::NotOffered);
        };
        let fields = [
            ("csrf", csrf),
            ("evidence", evidence),
            ("decision", "approve"),
            ("reason", reason),
        ];
        self.sends(&path, &fields).await
    }

    /// A page, signing in first where it is asked for; none when nobody answered.
    async fn page(&mut self, path: &str) -> anyhow::Result<Option<String>> {
        for _ in 0..2 {
            let request = self.http.get(format!("{}{path}", self.origin));
            let Some(page) = self.answer(request).await? else {
                return Ok(None);
            };
            match (page.status, page.location.as_deref()) {
                (StatusCode::OK, _) => return Ok(Some(page.text)),
                (StatusCode::SEE_OTHER, Some(to)) if to.starts_with("/sign-in") => {
                    if !self.signs_in().await? {
                        return Ok(None);
                    }
                }
                (status, _) => bail!("{path} answers {} {status}", self.name),
            }
        }
        bail!("{path} sends {} to sign in again and again", self.name)
    }

    async fn signs_in(&mut self) -> anyhow::Result<bool> {
        let fields = [("name", self.name), ("password", PASSWORD), ("back", "/")];
        let request = self
            .http
            .post(format!("{}/sign-in", self.origin))
            .header(header::ORIGIN, &self.origin)
            .form(&fields);
        let Ok(response) = request.send().await else {
            return Ok(false);
        };
        anyhow::ensure!(
            response.status() == StatusCode::SEE_OTHER,
            "{} signs in: {}",
            self.name,
            response.status()
        );
        let cookie = response.headers().get(header::SET_COOKIE);
        let cookie = cookie.and_then(|c| c.to_str().ok()).context("a cookie")?;
        self.cookie = cookie.split(';').next().map(str::to_owned);
        Ok(true)
    }

    async fn sends(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Act> {
        let request = self
            .http
            .post(format!("{}{path}", self.origin))
            .header(header::ORIGIN, &self.origin)
            .form(fields);
        match self.answer(request).await? {
            None => Ok(Act::NoAnswer),
            Some(page) if page.status == StatusCode::SEE_OTHER => Ok(Act::Done),
            // The page says why; what it says now is looked at again.
            Some(page) if page.status == StatusCode::CONFLICT => Ok(Act::NotOffered),
            Some(page) => bail!("{path} answers {} {}", self.name, page.status),
        }
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Option<Page>> {
        let request = match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        };
        let Ok(response) = request.send().await else {
            return Ok(None);
        };
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|l| l.to_str().ok()).map(str::to_owned);
        let Ok(text) = response.text().await else {
            return Ok(None);
        };
        Ok(Some(Page {
            status,
            location,
            text,
        }))
    }
}

/// The value of a page's hidden field.
fn hidden<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let mark = format!("name=\"{name}\" value=\"");
    let at = page.find(&mark)?;
    let rest = &page[at + mark.len()..];
    rest.split('"').next().filter(|value| !value.is_empty())
}
