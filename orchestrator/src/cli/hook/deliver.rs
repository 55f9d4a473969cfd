//! What a push runs: it spools, tries once for two seconds, and leaves the rest to a detached retry and
//! to the next push. A receiver that is away never makes a push fail.

use super::spool::{Spool, Spooled};
use crate::cli::{complain, exit};
use crate::clock::{Clock, SystemClock};
use crate::delivery::{GitBody, GitRef, REFS_MAX, key_of_git, sign_git};
use crate::id::{SystemIds, random_hex};
use anyhow::{Context as _, anyhow, bail};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// What a push may wait for the receiver.
const PUSH_PATIENCE: Duration = Duration::from_secs(2);
/// One attempt of the retry.
const ATTEMPT: Duration = Duration::from_secs(15);
/// Pauses of the retry; the last is repeated. Together with the attempts it goes on for a day.
const PAUSES: [u64; 7] = [1, 2, 5, 10, 30, 60, 300];
const RETRIES_MAX: usize = 300;
/// `post-receive` is told one line a ref; a push of more than this is no push of people.
const INPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// `sallyport hook deliver`: always a good end, the push has happened.
pub(super) async fn deliver(repository: &Path) -> anyhow::Result<u8> {
    let spool = Spool::of(repository);
    if let Err(error) = spool_input(&spool) {
        complain(&format!(
            "sallyport: this push could not be noted: {error:#}"
        ));
        return Ok(exit::YES);
    }
    match tokio::time::timeout(PUSH_PATIENCE, send_all(&spool, true)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false) | Err(_)) | Err(_) => {
            complain(
                "sallyport: the receiver did not take it yet; it is sent again in the background",
            );
            leave_to_retry(repository);
        }
    }
    Ok(exit::YES)
}

/// `sallyport hook retry`: tries until everything was taken.
pub(super) async fn retry(repository: &Path) -> anyhow::Result<u8> {
    let spool = Spool::of(repository);
    for attempt in 0..RETRIES_MAX {
        let pause = PAUSES[attempt.min(PAUSES.len() - 1)];
        tokio::time::sleep(Duration::from_secs(pause)).await;
        if matches!(send_all(&spool, false).await, Ok(true)) {
            return Ok(exit::YES);
        }
    }
    Ok(exit::COULD_NOT)
}

/// Reads `<old> <new> <ref>` lines and spools one delivery for each hundred of them.
fn spool_input(spool: &Spool) -> anyhow::Result<()> {
    let mut input = String::new();
    std::io::stdin()
        .take(INPUT_BYTES_MAX)
        .read_to_string(&mut input)
        .context("read the refs")?;
    let refs: Vec<GitRef> = input.lines().filter_map(git_ref).collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids = SystemIds::new(Arc::clone(&clock));
    let pusher = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten();
    let pusher = pusher.map(|user| user.name);
    for chunk in refs.chunks(REFS_MAX) {
        let body = GitBody {
            v: 1,
            kind: "push".to_owned(),
            nonce: random_hex(&ids, 16),
            pusher: pusher.clone(),
            refs: chunk.to_vec(),
        };
        let body = serde_json::to_vec(&body).context("write the delivery")?;
        spool.add(clock.now().0, &random_hex(&ids, 16), &body)?;
    }
    Ok(())
}

fn git_ref(line: &str) -> Option<GitRef> {
    let mut words = line.splitn(3, ' ');
    let (before, after, name) = (words.next()?, words.next()?, words.next()?);
    Some(GitRef {
        ref_name: name.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    })
}

/// Sends what waits, oldest first; true when nothing waits any more.
async fn send_all(spool: &Spool, speak: bool) -> anyhow::Result<bool> {
    let Some(_lock) = spool.lock()? else {
        return Ok(false);
    };
    let http = reqwest::Client::builder()
        .timeout(ATTEMPT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let url = spool.url()?;
    for path in spool.list()? {
        let Some(spooled) = Spool::read(&path)? else {
            continue;
        };
        let said = send(&http, &url, spool, &spooled).await?;
        if speak {
            complain(&format!("sallyport: {said}"));
        }
        std::fs::remove_file(&spooled.path)
            .with_context(|| format!("remove {}", spooled.path.display()))?;
    }
    Ok(spool.list()?.is_empty())
}

/// One attempt, signed anew: a signature is good for five minutes only.
async fn send(
    http: &reqwest::Client,
    url: &str,
    spool: &Spool,
    spooled: &Spooled,
) -> anyhow::Result<String> {
    let secret = spool.secret()?;
    let key = key_of_git(&secret).map_err(|_| anyhow!("the secret is not one of ours"))?;
    let now = SystemClock.now().seconds();
    let response = http
        .post(url)
        .header("webhook-id", &spooled.id)
        .header("webhook-timestamp", now)
        .header(
            "webhook-signature",
            sign_git(&key, &spooled.id, now, &spooled.body),
        )
        .header("content-type", "application/json")
        .body(spooled.body.clone())
        .send()
        .await
        .context("the receiver does not answer")?;
    let status = response.status();
    let answer: serde_json::Value = response.json().await.unwrap_or_default();
    let text = |key: &str| {
        answer
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if status.is_success() {
        return Ok(format!("{} {}", text("outcome"), text("url")));
    }
    bail!("the receiver refuses: {status} {}", text("detail"))
}

/// Detached: no stream that `git push` waits for, no terminal's signals.
fn leave_to_retry(repository: &Path) {
    let Ok(own) = std::env::current_exe() else {
        return;
    };
    let started = std::process::Command::new(own)
        .args(["hook", "retry", "--repository"])
        .arg(repository)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    if let Err(error) = started {
        complain(&format!("sallyport: the next push sends it: {error}"));
    }
}
