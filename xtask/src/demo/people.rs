//! What people do in the pages, over HTTP as their browsers would: sign in, request, approve.

use super::house::Person;
use super::start::Demo;
use crate::curl::{Answer, Curl};
use anyhow::{Context as _, Result, ensure};

/// Somebody who is signed in.
pub(crate) struct Browser {
    curl: Curl,
    origin: String,
}

impl Browser {
    /// Signs in on the sign-in page.
    pub(crate) fn sign_in(demo: &Demo, person: &Person) -> Result<Self> {
        let jar = demo.place.root().join(format!("{}.cookies", person.name));
        let browser = Self {
            curl: Curl::with_cookies(&jar),
            origin: demo.url(),
        };
        let fields = [
            ("name", person.name),
            ("password", person.password.as_str()),
            ("back", "/"),
        ];
        browser
            .post("/sign-in", &fields)?
            .expect_status(303)
            .context("sign in")?;
        demo.say(&format!("{} signs in", person.name));
        Ok(browser)
    }

    /// A page's text.
    pub(crate) fn page(&self, path: &str) -> Result<String> {
        Ok(self
            .curl
            .get(&format!("{}{path}", self.origin))?
            .expect_status(200)?
            .text())
    }

    /// Sends a form of a page.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        self.curl
            .post_form(&format!("{}{path}", self.origin), &self.origin, fields)
    }

    /// Requests what could come next in an environment; the path of the promotion.
    pub(crate) fn request(&self, environment: &str) -> Result<String> {
        let page = self.page("/projects/shop/environments")?;
        let (csrf, release) = (hidden(&page, "csrf")?, hidden(&page, "release")?);
        let path = format!("/projects/shop/environments/{environment}");
        let answer = self
            .post(&path, &[("csrf", &csrf), ("release", &release)])?
            .expect_status(303)?;
        Ok(answer
            .header("location")
            .context("a request leads to its promotion")?
            .to_owned())
    }

    /// Approves a promotion as it is shown.
    pub(crate) fn approve(&self, path: &str, reason: &str) -> Result<()> {
        let page = self.page(path)?;
        let fields = [
            ("csrf", hidden(&page, "csrf")?),
            ("evidence", hidden(&page, "evidence")?),
            ("decision", "approve".to_owned()),
            ("reason", reason.to_owned()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.post(path, &fields)?
            .expect_status(303)
            .context("approve")?;
        Ok(())
    }

    /// Shows that an approval is refused.
    pub(crate) fn may_not_approve(&self, path: &str) -> Result<()> {
        let page = self.page(path)?;
        ensure!(
            !page.contains("value=\"approve\""),
            "a button to approve is shown to who may not"
        );
        let csrf = hidden(&page, "csrf")?;
        let nothing = format!("sha256:{}", "0".repeat(64));
        let fields = [
            ("csrf", csrf.as_str()),
            ("evidence", &nothing),
            ("decision", "approve"),
            ("reason", "me"),
        ];
        let answer = self.post(path, &fields)?;
        ensure!(
            answer.status == 409,
            "an approval by who may not was answered {}",
            answer.status
        );
        Ok(())
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> Result<String> {
    let mark = format!("name=\"{name}\" value=\"");
    let at = page
        .find(&mark)
        .with_context(|| format!("the page has no field {name}"))?;
    let rest = &page[at + mark.len()..];
    Ok(rest[..rest.find('"').context("a value ends")?].to_owned())
}
