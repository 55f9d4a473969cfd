//! The signer's socket: who may ask, how much, how long.

use super::protocol::{self, Answer, FrameError, Request};
use super::signer::{Signer, SignerConfig};
use crate::lifecycle::Tasks;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// One server asks for a few signatures at a time.
const CONNECTIONS_MAX: usize = 8;
/// A request of tens of megabytes over a socket takes far less.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket.
    #[error("listen on {path}")]
    Listen {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another signer listens there.
    #[error("{0}: another signer listens there already")]
    InUse(String),
}

/// Listens until the process is stopped.
pub async fn serve(
    config: &SignerConfig,
    signer: Arc<Signer>,
    tasks: &Tasks,
) -> Result<(), ServeError> {
    let listener = listen(&config.signer.socket).await?;
    let allowed = config.signer.server_uid;
    let owned = tasks.clone();
    let stop = tasks.stop();
    tasks.start("socket", async move {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let signer = Arc::clone(&signer);
                    owned.work(async move {
                        let answered = tokio::time::timeout(
                            REQUEST_TIMEOUT,
                            connection(stream, allowed, signer),
                        );
                        match answered.await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::warn!(error = %error, "a request broke off"),
                            Err(_) => tracing::warn!("a request took too long"),
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::error!(error = %error, "a connection cannot be accepted");
                    // Out of descriptors, most likely: let some go first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let shown = path.display().to_string();
    let failed = |source| ServeError::Listen {
        path: path.display().to_string(),
        source,
    };
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        // A socket that nobody answers at was left by a process that was killed.
        if UnixStream::connect(path).await.is_ok() {
            return Err(ServeError::InUse(shown));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // The server is another user: whoever connects is asked for the uid, which the kernel vouches for.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

async fn connection(
    mut stream: UnixStream,
    allowed: u32,
    signer: Arc<Signer>,
) -> Result<(), FrameError> {
    let uid = stream.peer_cred()?.uid();
    if uid != allowed {
        tracing::warn!(uid, "refused: only uid {allowed} may ask");
        return Ok(());
    }
    let request: Request = protocol::read(&mut stream).await?;
    let answer: Answer = tokio::task::spawn_blocking(move || signer.answer(request))
        .await
        .map_err(std::io::Error::other)?;
    protocol::write(&mut stream, &answer).await
}
