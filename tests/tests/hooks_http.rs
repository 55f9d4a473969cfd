//! What a sender hears at a hook, over real connections: every answer, and what is read before it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use orchestrator::clock::{Clock as _, SystemClock};
use orchestrator::delivery::{key_of_git, sign_git};
use std::time::Duration;
use tests::orchestrator::Orchestrator;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const GIT_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
/// The configured limit of the stories' orchestrator: the default.
const BODY_BYTES_MAX: usize = 1 << 20;
/// An answer that is not waited for comes at once.
const BOUND: Duration = Duration::from_secs(15);

/// Status and body of an answer.
#[derive(Debug)]
struct Heard {
    status: u16,
    kind: String,
    body: serde_json::Value,
}

impl Heard {
    /// The body without the request's own id.
    fn without_id(&self) -> serde_json::Value {
        let mut body = self.body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("request_id");
        }
        body
    }

    fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(BOUND).build().unwrap()
}

async fn sends(request: reqwest::RequestBuilder) -> Heard {
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").cloned();
    Heard {
        status: response.status().as_u16(),
        kind: kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned()),
        body: response.json().await.unwrap_or_default(),
    }
}

/// A delivery of our own hook, signed with this secret.
fn git(url: &str, secret: &str, id: &str, body: &[u8]) -> reqwest::RequestBuilder {
    let now = SystemClock.now().seconds();
    let key = key_of_git(secret).unwrap();
    http()
        .post(url)
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", sign_git(&key, id, now, body))
        .body(body.to_vec())
}

fn github(url: &str, id: &str, body: &[u8]) -> reqwest::RequestBuilder {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(GITHUB_SECRET.as_bytes()).unwrap();
    mac.update(body);
    let tag = hex::encode(mac.finalize().into_bytes());
    http()
        .post(url)
        .header("x-hub-signature-256", format!("sha256={tag}"))
        .header("x-github-delivery", id)
        .header("x-github-event", "ping")
        .body(body.to_vec())
}

#[tokio::test]
async fn each_delivery_hears_what_became_of_it() {
    let orchestrator = Orchestrator::start().await.unwrap();
    let url = orchestrator.hook_url();
    let first = sends(git(&url, GIT_SECRET, "one", b"{}")).await;
    assert_eq!((first.status, first.text("outcome")), (202, "accepted"));
    assert!(
        first
            .text("url")
            .ends_with(&format!("/deliveries/{}", first.text("id")))
    );
    let again = sends(git(&url, GIT_SECRET, "one", b"{}")).await;
    assert_eq!((again.status, again.text("outcome")), (200, "repeated"));
    assert_eq!(again.text("id"), first.text("id"));
    let other = sends(git(&url, GIT_SECRET, "one", b"{ }")).await;
    assert_eq!((other.status, other.text("code")), (409, "id-reused"));
    let empty = sends(git(&url, GIT_SECRET, "two", b"")).await;
    assert_eq!((empty.status, empty.text("code")), (400, "body-empty"));
    assert_eq!(empty.kind, "application/problem+json");

    let url = orchestrator.github_hook(GITHUB_SECRET).await.unwrap();
    let first = sends(github(&url, "one", b"{}")).await;
    assert_eq!((first.status, first.text("outcome")), (202, "accepted"));
    let replayed = sends(github(&url, "two", b"{}")).await;
    assert_eq!(
        (replayed.status, replayed.text("outcome")),
        (200, "replayed")
    );
    let nameless = sends(github(&url, "a b", b"{}")).await;
    assert_eq!(
        (nameless.status, nameless.text("code")),
        (400, "delivery-id-malformed")
    );
    assert_eq!(orchestrator.refused().await.unwrap(), 3);
    orchestrator.stop().await;
}

#[tokio::test]
async fn an_unknown_hook_answers_as_a_bad_signature() {
    let orchestrator = Orchestrator::start().await.unwrap();
    let url = orchestrator.hook_url();
    let forged = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = sends(git(&url, forged, "one", b"{}")).await;
    let (base, _) = url.rsplit_once('/').unwrap();
    let unknown = format!("{base}/0123456789abcdef0123456789abcdef");
    let strange = format!("{base}/%2e%2e%2fetc");
    let none = http().post(&url).body("{}");
    for (what, heard) in [
        ("wrong", &wrong),
        (
            "unknown",
            &sends(git(&unknown, GIT_SECRET, "one", b"{}")).await,
        ),
        (
            "strange",
            &sends(git(&strange, GIT_SECRET, "one", b"{}")).await,
        ),
        ("none", &sends(none).await),
    ] {
        assert_eq!(
            (heard.status, heard.text("code")),
            (401, "not-verified"),
            "{what}"
        );
        assert_eq!(
            (heard.without_id(), &heard.kind),
            (wrong.without_id(), &wrong.kind),
            "{what}"
        );
    }
    assert_eq!(orchestrator.refused().await.unwrap(), 4);
    let get = sends(http().get(&url)).await;
    assert_eq!((get.status, get.text("code")), (405, "method-not-allowed"));
    orchestrator.stop().await;
}

/// Speaks to the hook by hand: a head and a part of the body; what is answered until the end.
async fn by_hand(url: &str, head: &str, part: &[u8], closes: bool) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let port = host.rsplit_once(':').unwrap().1;
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    let head = format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{head}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // The other end may have answered already, and closed.
    let _sent = stream.write_all(part).await;
    if closes {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no answer while the body is not all there");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let orchestrator = Orchestrator::start().await.unwrap();
    let url = orchestrator.hook_url();
    // By its claim: not one byte of the body was sent.
    let head = format!("content-length: {}\r\n", BODY_BYTES_MAX + 1);
    let answer = by_hand(&url, &head, b"", false).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"code\":\"body-too-large\""), "{answer}");
    // Without a claim, as soon as more came than may be: the body never ends.
    let chunk = vec![b'x'; BODY_BYTES_MAX + 1];
    let part = [format!("{:x}\r\n", chunk.len() + 1).into_bytes(), chunk].concat();
    let answer = by_hand(&url, "transfer-encoding: chunked\r\n", &part, false).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let reasons = orchestrator.refusal_reasons().await.unwrap();
    assert_eq!(reasons, ["body-too-large"; 2], "both are recorded");
    let largest = vec![b'x'; BODY_BYTES_MAX];
    let taken = sends(git(&url, GIT_SECRET, "largest", &largest)).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    orchestrator.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_recorded_as_such() {
    let orchestrator = Orchestrator::start().await.unwrap();
    let url = orchestrator.hook_url();
    // Signed as what came of it: only that it broke off is wrong with it.
    let half = b"{\"half\":";
    let now = SystemClock.now().seconds();
    let mac = sign_git(&key_of_git(GIT_SECRET).unwrap(), "half", now, half);
    let head = format!(
        "content-length: 100\r\nwebhook-id: half\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {mac}\r\n"
    );
    by_hand(&url, &head, half, true).await;
    let deadline = tokio::time::Instant::now() + BOUND;
    while orchestrator.refused().await.unwrap() == 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it was not recorded"
        );
        tokio::task::yield_now().await;
    }
    let reasons = orchestrator.refusal_reasons().await.unwrap();
    assert_eq!(reasons, ["body-truncated"]);
    orchestrator.stop().await;
}

#[tokio::test]
async fn what_the_api_cannot_read_is_told_in_its_own_form() {
    let orchestrator = Orchestrator::start().await.unwrap();
    let url = orchestrator.hook_url();
    let (base, _) = url.rsplit_once("/hooks/").unwrap();
    let delete = sends(http().delete(format!("{base}/api/v1/projects"))).await;
    assert_eq!(
        (delete.status, delete.text("code")),
        (405, "method-not-allowed")
    );
    assert_eq!(delete.kind, "application/problem+json");
    orchestrator.stop().await;
}
