//! Deliveries as GitHub sends them, to a hook of the sample's project that only the benchmarks have.

use super::house::House;
use super::place::Account;
use super::start::Demo;
use anyhow::{Context as _, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use std::time::Duration;

/// Nothing that is posted takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Commits that a push tells of: with these a body has about ten thousand bytes, as GitHub's have.
const COMMITS: u64 = 12;

/// A hook, and the secret that its deliveries are signed with.
pub(crate) struct Deliveries {
    url: String,
    secret: String,
}

impl Deliveries {
    /// Makes the hook.
    pub(crate) fn of(demo: &Demo, house: &House) -> Result<Self> {
        let secret = house.developer.password.repeat(2);
        let file = house.beside("github.secret");
        demo.place.file(&file, Account::Server, &secret)?;
        let file = file.display().to_string();
        let words = [
            "hook",
            "add",
            "shop",
            "--provider",
            "github",
            "--secret-file",
            &file,
        ];
        let said = house.run(demo, &words)?;
        let url = said.trim().strip_prefix("deliveries go to ");
        let url = url.with_context(|| format!("no address in: {said}"))?;
        Ok(Self {
            url: url.to_owned(),
            secret,
        })
    }

    /// A push's body; `number` makes it unlike every other.
    pub(crate) fn body(&self, ref_name: &str, before: &str, after: &str, number: u64) -> Vec<u8> {
        let person = json!({"name": "Dana Dev", "email": "dana@shop.example", "username": "dana"});
        let commits: Vec<_> = (0..COMMITS)
            .map(|nth| {
                json!({
                    "id": after, "tree_id": before, "distinct": true, "timestamp": "2026-01-01T12:00:00Z",
                    "message": format!("Change {nth} of push {number}: {}", "a sentence of the message, ".repeat(12)),
                    "url": format!("https://github.example/shop/shop/commit/{after}"),
                    "author": person, "committer": person,
                    "added": [], "removed": [], "modified": ["shop/prices.py", "tests/unit/test_prices.py"],
                })
            })
            .collect();
        let body = json!({
            "ref": ref_name, "before": before, "after": after, "created": false, "deleted": false, "forced": false,
            "compare": format!("https://github.example/shop/shop/compare/{before}...{after}"),
            "repository": {"id": 1, "name": "shop", "full_name": "shop/shop", "private": true, "default_branch": "main"},
            "pusher": {"name": "dana", "email": "dana@shop.example"},
            "sender": {"login": "dana", "id": 1, "type": "User"},
            "head_commit": commits.last(), "commits": commits,
        });
        body.to_string().into_bytes()
    }

    /// A connection of its own.
    pub(crate) fn connection(&self) -> Result<reqwest::Client> {
        reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .pool_max_idle_per_host(1)
            .build()
            .context("make a client")
    }

    /// Posts a body; an error unless it is accepted as new.
    pub(crate) async fn post(&self, connection: &reqwest::Client, body: Vec<u8>) -> Result<()> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())?;
        mac.update(&body);
        let tag = mac.finalize().into_bytes();
        let id = hex::encode(&tag[..16]);
        let answer = connection
            .post(&self.url)
            .header("content-type", "application/json")
            .header("x-github-event", "push")
            .header("x-github-delivery", id)
            .header(
                "x-hub-signature-256",
                format!("sha256={}", hex::encode(tag)),
            )
            .body(body)
            .send()
            .await
            .context("post a delivery")?;
        let status = answer.status();
        let said = answer.bytes().await.context("read the answer")?;
        ensure!(
            status == 202,
            "a delivery was answered {status}: {}",
            String::from_utf8_lossy(&said)
        );
        Ok(())
    }

    /// Posts one from a thread that waits for it.
    pub(crate) fn post_one(&self, body: &[u8]) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the sender")?;
        runtime.block_on(self.post(&self.connection()?, body.to_vec()))
    }
}
