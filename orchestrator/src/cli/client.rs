//! The command line's HTTP client: at `admin.sock` on the same host, or with a token over the
//! network (DECISIONS 13).

use super::{complain, exit};
use crate::config::Place;
use crate::http::serve::ADMIN_SOCKET;
use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::unistd::AccessFlags;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// An import of advisories takes seconds; a server that does not answer in a minute is broken.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Speaks to one server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<zeroize::Zeroizing<String>>,
}

/// What the server said.
pub(super) enum Answer<T> {
    /// Done.
    Good(T),
    /// Refused, already said to the person; the process ends with this code.
    Refused(u8),
}

impl Client {
    /// With `SALLYPORT_URL` and `SALLYPORT_TOKEN_FILE` over the network, otherwise at the socket of
    /// the configuration's `data_dir`.
    pub(super) fn open(config: &Place) -> anyhow::Result<Self> {
        let builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Ok(url) = std::env::var("SALLYPORT_URL") {
            let file = std::env::var("SALLYPORT_TOKEN_FILE").context(
                "SALLYPORT_URL is set: SALLYPORT_TOKEN_FILE has to name a file with a token",
            )?;
            let token = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
            let token = Some(zeroize::Zeroizing::new(token.trim().to_owned()));
            return Ok(Self {
                http: builder.build()?,
                base: url.trim_end_matches('/').to_owned(),
                token,
            });
        }
        // Who names a token means to be that person, and not whoever may open the socket.
        if std::env::var_os("SALLYPORT_TOKEN_FILE").is_some() {
            bail!("SALLYPORT_TOKEN_FILE is set: SALLYPORT_URL has to say where the server is");
        }
        let config = crate::config::Config::load(config)?;
        let socket = config.server.data_dir.join(ADMIN_SOCKET);
        if let Err(error) = nix::unistd::access(&socket, AccessFlags::W_OK) {
            let shown = socket.display();
            if error == Errno::EACCES {
                bail!(
                    "{shown} is for the server's user and root only; others set SALLYPORT_URL and SALLYPORT_TOKEN_FILE"
                );
            }
            bail!(
                "no server runs here: {shown}: {error} (start `sallyport serve`, or set SALLYPORT_URL and SALLYPORT_TOKEN_FILE)"
            );
        }
        let http = builder.unix_socket(socket).build()?;
        Ok(Self {
            http,
            base: "http://localhost".to_owned(),
            token: None,
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Answer<T>> {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> anyhow::Result<Answer<T>> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body))
            .await
    }

    /// Sends bytes as they are (a settings document, a zip of advisories).
    pub(super) async fn put_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer<T>> {
        self.send(self.http.put(format!("{}{path}", self.base)).body(body))
            .await
    }

    /// Reads a text; the headers say where it goes on.
    pub(super) async fn get_text(
        &self,
        path: &str,
    ) -> anyhow::Result<Answer<(http::HeaderMap, String)>> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        let response = request.send().await.context("the server does not answer")?;
        if !response.status().is_success() {
            return refused(response).await;
        }
        let headers = response.headers().clone();
        let bytes = response.bytes().await.context("the answer broke off")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer::Good((headers, text)))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> anyhow::Result<Answer<T>> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        let response = request.send().await.context("the server does not answer")?;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::Good(
                response.json().await.context("the answer is not JSON")?,
            ));
        }
        refused(response).await
    }
}

/// Says why the server refused; the exit code.
async fn refused<T>(response: reqwest::Response) -> anyhow::Result<Answer<T>> {
    let (status, url) = (response.status(), response.url().clone());
    let problem: serde_json::Value = response.json().await.unwrap_or_default();
    if problem.get("code").is_none() {
        bail!("{url} answers {status} and not as a Sallyport server does");
    }
    let code = problem
        .get("code")
        .and_then(|v| v.as_str())
        .unwrap_or("unknown");
    let detail = problem
        .get("detail")
        .and_then(|v| v.as_str())
        .unwrap_or("no reason given");
    for complaint in problem
        .get("complaints")
        .and_then(|v| v.as_array())
        .into_iter()
        .flatten()
    {
        let text = complaint.get("rendered").and_then(|v| v.as_str());
        complain(&text.map_or_else(|| complaint.to_string(), ToOwned::to_owned));
    }
    complain(&format!("error[{code}]: {detail}"));
    Ok(Answer::Refused(match status.as_u16() {
        401 | 403 => exit::NOT_PERMITTED,
        500.. => exit::COULD_NOT,
        _ => exit::NO,
    }))
}
