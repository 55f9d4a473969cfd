//! A registry as it should not be: a proxy on the loopback, under the registry's name, that lies,
//! stalls or refuses to store. What it passes on it passes on unchanged.

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use contract::digest::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Bodies of these stories are a few KiB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest that a slow registry holds an answer back.
const SLOW_MAX: Duration = Duration::from_secs(120);
const DIGEST_HEADER: &str = "docker-content-digest";

/// What is wrong with the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Manifests come with the digest of something else in their header.
    OtherDigestHeader,
    /// Manifests come with a byte more, which leaves them what they say.
    OtherBytes,
    /// No answer comes before the fault is mended.
    Slow,
    /// Nothing more can be stored.
    Full,
}

/// A running proxy; it ends with the value.
pub struct FaultyRegistry {
    fault: watch::Sender<Fault>,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

struct Inner {
    fault: watch::Receiver<Fault>,
    upstream: u16,
    http: reqwest::Client,
    harmed: AtomicU64,
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultyRegistry {
    /// Stands at `port` before the registry at `upstream`.
    pub async fn start(port: u16, upstream: u16) -> anyhow::Result<Self> {
        let (fault, seen) = watch::channel(Fault::None);
        let inner = Arc::new(Inner {
            fault: seen,
            upstream,
            http: reqwest::Client::builder().timeout(SLOW_MAX).build()?,
            harmed: AtomicU64::new(0),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let service = axum::Router::new()
            .fallback(pass_on)
            .with_state(Arc::clone(&inner));
        #[expect(clippy::disallowed_methods, reason = "it ends with the value")]
        let task = tokio::spawn(async move {
            drop(axum::serve(listener, service).await);
        });
        Ok(Self { fault, inner, task })
    }

    /// From now on this is wrong.
    pub fn is(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many requests met the fault so far.
    pub fn harmed(&self) -> u64 {
        self.inner.harmed.load(Ordering::SeqCst)
    }
}

async fn pass_on(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    match harmed(&inner, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn harmed(inner: &Inner, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let writes = !matches!(parts.method, Method::GET | Method::HEAD);
    let is_manifest = parts.uri.path().contains("/manifests/");
    let fault = *inner.fault.borrow();
    let meets = match fault {
        Fault::None => false,
        Fault::OtherDigestHeader | Fault::OtherBytes => is_manifest && !writes,
        Fault::Slow => true,
        Fault::Full => writes,
    };
    if meets {
        inner.harmed.fetch_add(1, Ordering::SeqCst);
    }
    if meets && fault == Fault::Slow {
        let mut seen = inner.fault.clone();
        let mended = seen.wait_for(|fault| *fault != Fault::Slow);
        drop(tokio::time::timeout(SLOW_MAX, mended).await);
    }
    if meets && fault == Fault::Full {
        return Ok(StatusCode::INSUFFICIENT_STORAGE.into_response());
    }
    let path = parts.uri.path_and_query().context("a path")?;
    let url = format!("http://127.0.0.1:{}{path}", inner.upstream);
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await?;
    // The registry names itself by the Host header in what it answers: it stays.
    let request = inner.http.request(parts.method, url).headers(parts.headers);
    let answer = request.body(body).send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await?;
    if meets && fault == Fault::OtherDigestHeader {
        let other = Digest::of(b"something else").to_string();
        headers.insert(DIGEST_HEADER, HeaderValue::from_str(&other)?);
    }
    if meets && fault == Fault::OtherBytes && status == StatusCode::OK {
        body = Bytes::from([&body[..], b"\n"].concat());
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
