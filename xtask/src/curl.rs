//! HTTP as a person with a terminal speaks it: the `curl` program, with a cookie jar where a session is needed.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How long one request may take.
const SECONDS_MAX: &str = "120";

/// One person's (or nobody's) way to a server.
#[derive(Default, Clone)]
pub(crate) struct Curl {
    jar: Option<PathBuf>,
    bearer: Option<String>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("answer {} is no JSON: {}", self.status, self.text()))
    }

    /// The answer itself when it has the expected status, otherwise an error that shows it.
    pub(crate) fn expect_status(self, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let text = self.text();
        let shown: String = text.chars().take(2000).collect();
        bail!(
            "the server answered {} where {status} was due: {shown}",
            self.status
        )
    }
}

impl Curl {
    /// A session of its own, whose cookies stay in a file.
    pub(crate) fn with_cookies(jar: &Path) -> Self {
        Self {
            jar: Some(jar.to_owned()),
            bearer: None,
        }
    }

    /// Requests that carry a bearer token.
    pub(crate) fn with_bearer(token: &str) -> Self {
        Self {
            jar: None,
            bearer: Some(token.to_owned()),
        }
    }

    pub(crate) fn get(&self, url: &str) -> Result<Answer> {
        self.run(&[], url, None)
    }

    pub(crate) fn get_as(&self, url: &str, accept: &str) -> Result<Answer> {
        self.run(&["--header", &format!("Accept: {accept}")], url, None)
    }

    pub(crate) fn head(&self, url: &str) -> Result<Answer> {
        self.run(&["--head"], url, None)
    }

    pub(crate) fn post_empty(&self, url: &str) -> Result<Answer> {
        self.run(&["--request", "POST", "--data", ""], url, None)
    }

    /// Sends a form as a browser does, saying where it comes from.
    pub(crate) fn post_form(
        &self,
        url: &str,
        origin: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer> {
        let origin = format!("Origin: {origin}");
        let mut arguments = vec![
            "--header",
            &origin,
            "--header",
            "Sec-Fetch-Site: same-origin",
        ];
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        for pair in &pairs {
            arguments.extend(["--data-urlencode", pair]);
        }
        self.run(&arguments, url, None)
    }

    pub(crate) fn put_file(&self, url: &str, file: &Path, content_type: &str) -> Result<Answer> {
        self.run(
            &["--header", &format!("Content-Type: {content_type}")],
            url,
            Some(file),
        )
    }

    fn run(&self, arguments: &[&str], url: &str, upload: Option<&Path>) -> Result<Answer> {
        let mut command = Command::new("curl");
        // `--disable` first: no configuration file of this machine; `--noproxy`: everything is on the loopback.
        command.args([
            "--disable",
            "--silent",
            "--show-error",
            "--include",
            "--noproxy",
            "*",
        ]);
        command.args(["--max-time", SECONDS_MAX, "--header", "Expect:"]);
        if let Some(jar) = &self.jar {
            command
                .arg("--cookie")
                .arg(jar)
                .arg("--cookie-jar")
                .arg(jar);
        }
        if let Some(token) = &self.bearer {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(file) = upload {
            command.arg("--upload-file").arg(file);
        }
        let output = command
            .args(arguments)
            .arg(url)
            .stdin(Stdio::null())
            .output()
            .context("start curl")?;
        if !output.status.success() {
            bail!(
                "curl {url}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        parse(&output.stdout).with_context(|| format!("understand the answer of {url}"))
    }
}

/// Takes the last head and the body apart (informational answers come before it).
fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("no head")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let body = &bytes[end + 4..];
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|code| code.parse::<u16>().ok())
        .context("no status")?;
    if (100..200).contains(&status) {
        return parse(body);
    }
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        status,
        headers,
        body: body.to_vec(),
    })
}
