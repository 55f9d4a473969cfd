//! What a push runs: it spools, tries once for two seconds, and leaves the rest to a detached retry and
//! to the next push. A receiver that is away never makes a push fail.

use super::spool::{Receiver, Spool, Spooled};
use crate::cli::{complain, exit};
use crate::clock::{Clock, SystemClock};
use crate::delivery::{GitBody, GitRef, REFS_MAX, is_ref_name, key_of_git, sign_git};
use crate::id::{SystemIds, random_hex};
use anyhow::{Context as _, anyhow, bail};
use std::io::{BufRead, Read as _};
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
/// A line of `post-receive`'s input: two ids and a name, which a file system ends at 4096.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// After so many answers of "later" the receiver is left alone for now.
const LATER_MAX: usize = 3;
/// Refs that are left out are named up to here.
const NAMED_MAX: usize = 3;

/// `sallyport hook deliver`: always a good end, the push has happened.
pub(super) async fn deliver(repository: &Path) -> anyhow::Result<u8> {
    let spool = Spool::of(repository);
    if let Err(error) = spool_input(&spool, &mut std::io::stdin().lock()) {
        complain(&format!(
            "sallyport: this push could not be noted: {error:#}"
        ));
    }
    let why = match tokio::time::timeout(PUSH_PATIENCE, send_all(&spool, true)).await {
        Ok(Ok(true)) => return Ok(exit::YES),
        Ok(Ok(false)) => String::new(),
        Ok(Err(error)) => format!(" ({error:#})"),
        Err(_) => format!(" within {} s", PUSH_PATIENCE.as_secs()),
    };
    complain(&format!(
        "sallyport: the receiver did not take it yet{why}; it is sent again in the background"
    ));
    leave_to_retry(repository);
    Ok(exit::YES)
}

/// `sallyport hook retry`: tries until everything was taken. Of those that an outage's pushes leave
/// behind one works, the others end at once.
pub(super) async fn retry(repository: &Path) -> anyhow::Result<u8> {
    let spool = Spool::of(repository);
    // Whoever spools after this one looked for the last time finds the lock free.
    while !spool.list()?.is_empty() {
        let Some(lock) = spool.lock_retry()? else {
            return Ok(exit::YES);
        };
        if !try_for_a_day(&spool).await {
            return Ok(exit::COULD_NOT);
        }
        drop(lock);
    }
    Ok(exit::YES)
}

async fn try_for_a_day(spool: &Spool) -> bool {
    for attempt in 0..RETRIES_MAX {
        let pause = PAUSES[attempt.min(PAUSES.len() - 1)];
        tokio::time::sleep(Duration::from_secs(pause)).await;
        if matches!(send_all(spool, false).await, Ok(true)) {
            return true;
        }
    }
    false
}

/// Reads `<old> <new> <ref>` lines and spools one delivery for each hundred of them, as they come: a push
/// of any number of refs is told whole.
fn spool_input(spool: &Spool, input: &mut impl BufRead) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids = SystemIds::new(Arc::clone(&clock));
    let pusher = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten();
    let pusher = pusher.map(|user| user.name);
    let mut room = spool.room()?;
    let mut left_out = Vec::new();
    let mut refs = Vec::new();
    let mut is_over = false;
    while !is_over {
        match next_line(input).context("read the refs")? {
            Some(line) => match git_ref(&line) {
                Ok(one) => refs.push(one),
                Err(name) => left_out.push(name),
            },
            None => is_over = true,
        }
        if refs.is_empty() || !is_over && refs.len() < REFS_MAX {
            continue;
        }
        if room == 0 {
            bail!("too many pushes wait already");
        }
        room -= 1;
        let body = GitBody {
            v: 1,
            kind: "push".to_owned(),
            nonce: random_hex(&ids, 16),
            pusher: pusher.clone(),
            refs: std::mem::take(&mut refs),
        };
        let body = serde_json::to_vec(&body).context("write the delivery")?;
        spool.add(clock.now().0, &random_hex(&ids, 16), &body)?;
    }
    if !left_out.is_empty() {
        let names = left_out[..left_out.len().min(NAMED_MAX)].join(", ");
        complain(&format!(
            "sallyport: nothing starts for {} refs whose names cannot be told: {names}",
            left_out.len()
        ));
    }
    Ok(())
}

/// The next line without its end; the rest of one that is too long is passed over. None at the end.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(line));
    }
    let mut rest = Vec::new();
    while rest.last() != Some(&b'\n') {
        rest.clear();
        let mut more = input.by_ref().take(LINE_BYTES_MAX);
        if more.read_until(b'\n', &mut rest)? == 0 {
            break;
        }
    }
    Ok(Some(line))
}

/// A line as a ref, or the name of one that the receiver would not understand.
fn git_ref(line: &[u8]) -> Result<GitRef, String> {
    let shown = |line: &[u8]| {
        let name = line.splitn(3, |b| *b == b' ').last().unwrap_or_default();
        let name = String::from_utf8_lossy(name);
        name.chars().filter(|c| !c.is_control()).take(100).collect()
    };
    let text = std::str::from_utf8(line).map_err(|_| shown(line))?;
    let mut words = text.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(before), Some(after), Some(name)) if is_ref_name(name) => Ok(GitRef {
            ref_name: name.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        }),
        _ => Err(shown(line)),
    }
}

/// What the receiver said to one delivery.
enum Said {
    /// It has it.
    Taken(String),
    /// It will never have it.
    Refused(String),
    /// Not now: why.
    Later(String),
}

/// Sends what waits, oldest first; true when nothing waits any more. One that is refused for good is set
/// aside, one that is put off does not hold up the others.
async fn send_all(spool: &Spool, speak: bool) -> anyhow::Result<bool> {
    let Some(_lock) = spool.lock_sender()? else {
        return Ok(false);
    };
    let http = reqwest::Client::builder()
        .timeout(ATTEMPT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let receiver = spool.receiver()?;
    let mut later = 0;
    for path in spool.list()? {
        let Some(spooled) = Spool::read(&path)? else {
            continue;
        };
        match send(&http, &receiver, &spooled).await? {
            Said::Taken(text) => {
                if speak {
                    complain(&format!("sallyport: {text}"));
                }
                std::fs::remove_file(&spooled.path)
                    .with_context(|| format!("remove {}", spooled.path.display()))?;
            }
            Said::Refused(why) => {
                let kept = spool.set_aside(&spooled, &why)?;
                if speak {
                    let kept = kept.display();
                    complain(&format!("sallyport: {why}; it lies in {kept}"));
                }
            }
            Said::Later(why) => {
                if speak {
                    complain(&format!("sallyport: {why}"));
                }
                later += 1;
                if later == LATER_MAX {
                    break;
                }
            }
        }
    }
    Ok(spool.list()?.is_empty())
}

/// One attempt, signed anew: a signature is good for five minutes only.
async fn send(
    http: &reqwest::Client,
    receiver: &Receiver,
    spooled: &Spooled,
) -> anyhow::Result<Said> {
    let key = key_of_git(&receiver.secret).map_err(|_| anyhow!("the secret is not one of ours"))?;
    let now = SystemClock.now().seconds();
    let response = http
        .post(&receiver.url)
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
        let said = format!("{} {}", text("outcome"), text("url"));
        return Ok(Said::Taken(said));
    }
    Ok(match status.as_u16() {
        // About these bytes: they will not become better. A wrong signature may: by a new secret.
        400 | 409 | 413 | 415 | 422 => Said::Refused(format!(
            "the receiver refuses it: {status} {}",
            text("detail")
        )),
        // A wrong secret may be replaced here, or there.
        _ => Said::Later(format!("the receiver answers {status} {}", text("detail"))),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::of(folder.path());
        std::fs::create_dir_all(spool.waiting_folder()).unwrap();
        (folder, spool)
    }

    fn spooled(spool: &Spool) -> Vec<GitRef> {
        let bodies = spool.list().unwrap().into_iter().map(|path| {
            let body = Spool::read(&path).unwrap().unwrap().body;
            serde_json::from_slice::<GitBody>(&body).unwrap().refs
        });
        bodies.flatten().collect()
    }

    #[test]
    fn a_ref_whose_name_cannot_be_told_takes_no_other_with_it() {
        let (_folder, spool) = spool();
        let mut input = Vec::new();
        for name in [
            &b"refs/heads/a"[..],
            b"refs/heads/\xff\xfe",
            "refs/heads/\u{85}".as_bytes(),
            &[b"refs/heads/".to_vec(), vec![b'x'; 20_000]].concat(),
            b"refs/heads/b",
        ] {
            input.extend_from_slice(format!("{ID} {ID} ").as_bytes());
            input.extend_from_slice(name);
            input.push(b'\n');
        }
        spool_input(&spool, &mut &input[..]).unwrap();
        let names: Vec<String> = spooled(&spool).into_iter().map(|r| r.ref_name).collect();
        assert_eq!(names, ["refs/heads/a", "refs/heads/b"]);
    }

    #[test]
    fn every_ref_of_a_large_push_is_told() {
        let (_folder, spool) = spool();
        let input: String = (0..1_234)
            .map(|i| format!("{ID} {ID} refs/heads/{i:04}-{}\n", "x".repeat(200)))
            .collect();
        spool_input(&spool, &mut input.as_bytes()).unwrap();
        let mut names: Vec<String> = spooled(&spool).into_iter().map(|r| r.ref_name).collect();
        assert_eq!(spool.list().unwrap().len(), 13);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1_234);
    }

    #[test]
    fn what_is_refused_for_good_is_kept_aside_with_its_reason_and_not_without_end() {
        let (folder, spool) = spool();
        for i in 0..120 {
            spool.add(i, &format!("{i:032}"), b"{}").unwrap();
        }
        for path in spool.list().unwrap() {
            let one = Spool::read(&path).unwrap().unwrap();
            spool.set_aside(&one, "413 too large").unwrap();
        }
        assert!(spool.list().unwrap().is_empty());
        let kept = std::fs::read_dir(folder.path().join("sallyport/refused")).unwrap();
        assert_eq!(kept.count(), 2 * 100);
    }
}
