//! Listens at the entrances until the stop.

use super::extract::Peer;
use crate::app::App;
use anyhow::Context as _;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use tokio::net::UnixListener;

/// The command line's way in, below `data_dir`.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// Listens at the public entrance.
pub async fn public(app: &Arc<App>) -> anyhow::Result<()> {
    let address = app.config.server.listen;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address} ([server] listen)"))?;
    let service =
        super::router::public(Arc::clone(app)).into_make_service_with_connect_info::<SocketAddr>();
    let stop = app.tasks.stop();
    app.tasks.start("public entrance", async move {
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the public entrance failed");
        }
    });
    Ok(())
}

/// Requests of workers that are under way at the stop may take this long.
const WORKERS_STOP: std::time::Duration = std::time::Duration::from_secs(10);

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
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
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
