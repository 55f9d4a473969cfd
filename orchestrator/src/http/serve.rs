//! Listens at the entrances until the stop.

use super::connections::AtMost;
use super::extract::Peer;
use crate::app::App;
use anyhow::Context as _;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

/// The command line's way in, below `data_dir`.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// Connections at the public entrance at once: a page with a live log holds one for as long as it is open.
pub const PUBLIC_CONNECTIONS_MAX: usize = 1_024;
/// A request's head comes at once, and a connection that says nothing is closed after this, too.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests of people and forges that are under way at the stop may take this long.
const PUBLIC_STOP: Duration = Duration::from_secs(10);

/// Listens at the public entrance.
pub async fn public(app: &Arc<App>) -> anyhow::Result<()> {
    let address = app.config.server.listen;
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("listen on {address} ([server] listen)"))?;
    let service = super::router::public(Arc::clone(app));
    serve_public(
        &app.tasks,
        listener,
        service,
        PUBLIC_CONNECTIONS_MAX,
        HEAD_TIMEOUT,
    )
}

fn serve_public(
    tasks: &crate::lifecycle::Tasks,
    listener: std::net::TcpListener,
    service: axum::Router,
    connections_max: usize,
    head_timeout: Duration,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = axum_server::Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(AtMost::new(connections_max))
        .http1_only()
        .handle(handle.clone());
    limit_heads(server.http_builder(), head_timeout);
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let stop = tasks.stop();
    tasks.start("public entrance", async move {
        let serving = server.serve(service);
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = stop.cancelled() => {
                handle.graceful_shutdown(Some(PUBLIC_STOP));
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::error!(%error, "the public entrance failed");
        }
    });
    Ok(())
}

fn limit_heads(
    builder: &mut hyper_util::server::conn::auto::Builder<TokioExecutor>,
    timeout: Duration,
) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout);
}

/// Requests of workers that are under way at the stop may take this long.
const WORKERS_STOP: Duration = Duration::from_secs(10);

/// Listens at the worker entrance, with TLS under our CA; the address that it listens at.
pub fn workers(
    tasks: &crate::lifecycle::Tasks,
    entrance: super::worker_api::Entrance,
    listen: SocketAddr,
    names: &[String],
) -> anyhow::Result<SocketAddr> {
    let tls = entrance.keys.ca.server_tls(names, entrance.ground.now())?;
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(tls));
    let listener = std::net::TcpListener::bind(listen)
        .with_context(|| format!("listen on {listen} ([worker] listen)"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = axum_server::Handle::new();
    let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    limit_heads(server.http_builder(), HEAD_TIMEOUT);
    let service = super::router::workers(entrance).into_make_service();
    let stop = tasks.stop();
    tasks.start("worker entrance", async move {
        let serving = server.serve(service);
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = stop.cancelled() => {
                handle.graceful_shutdown(Some(WORKERS_STOP));
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::error!(%error, "the worker entrance failed");
        }
    });
    Ok(address)
}

/// Listens at `admin.sock`, which only this uid can open.
pub fn admin(app: &Arc<App>) -> anyhow::Result<()> {
    let path = app.config.server.data_dir.join(ADMIN_SOCKET);
    // Left by a process that was killed; the lock file says that there is no other one now.
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(&path).with_context(|| format!("listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let service = super::router::admin(Arc::clone(app)).layer(axum::middleware::from_fn(note_peer));
    let service = service.into_make_service_with_connect_info::<PeerOf>();
    let stop = app.tasks.stop();
    app.tasks.start("admin.sock", async move {
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "admin.sock failed");
        }
    });
    Ok(())
}

/// The uid at the other end; none when the kernel does not tell.
#[derive(Clone, Copy)]
struct PeerOf(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for PeerOf {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

/// Only the owner of the server and root speak here, whatever the file's mode says.
async fn note_peer(
    axum::extract::ConnectInfo(PeerOf(uid)): axum::extract::ConnectInfo<PeerOf>,
    mut request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let own = nix::unistd::geteuid().as_raw();
    if let Some(uid) = uid.filter(|uid| *uid == own || *uid == 0) {
        request.extensions_mut().insert(Peer { uid });
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// What is waited for comes long before this.
    const BOUND: Duration = Duration::from_secs(30);

    fn entrance(connections_max: usize, head_timeout: Duration) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let service = axum::Router::new().route("/", get(async || "here\n"));
        let tasks = crate::lifecycle::Tasks::default();
        serve_public(&tasks, listener, service, connections_max, head_timeout).unwrap();
        address
    }

    async fn asks(stream: &mut TcpStream) -> String {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = vec![0; 512];
        let read = tokio::time::timeout(BOUND, stream.read(&mut answer)).await;
        String::from_utf8_lossy(&answer[..read.unwrap().unwrap_or(0)]).into_owned()
    }

    /// Reads until the other end closes.
    async fn is_closed(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "it is still open");
    }

    #[tokio::test]
    async fn no_more_connections_than_may_be_and_the_next_one_when_one_goes() {
        let address = entrance(2, BOUND);
        let mut one = TcpStream::connect(address).await.unwrap();
        let mut two = TcpStream::connect(address).await.unwrap();
        assert!(asks(&mut one).await.contains("here"));
        assert!(asks(&mut two).await.contains("here"));
        let mut three = TcpStream::connect(address).await.unwrap();
        is_closed(&mut three).await;
        drop(one);
        let again = async {
            loop {
                let mut next = TcpStream::connect(address).await.unwrap();
                if asks(&mut next).await.contains("here") {
                    break;
                }
            }
        };
        tokio::time::timeout(BOUND, again).await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_or_trickles_a_head_is_closed() {
        let address = entrance(8, Duration::from_millis(200));
        let mut silent = TcpStream::connect(address).await.unwrap();
        is_closed(&mut silent).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ")
            .await
            .unwrap();
        is_closed(&mut slow).await;
        // One that was answered is no exception.
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(asks(&mut idle).await.contains("here"));
        is_closed(&mut idle).await;
    }
}
