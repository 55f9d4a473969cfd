//! The relay: the only way out of the engine's network namespace. Inside it listens where the registry
//! is outside; between both lies a Unix socket, which no network namespace cuts.

use super::{Config, EngineHostError, file_error};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at once a registry: an engine pulls three layers at a time for each pull.
const CONNECTIONS_MAX: usize = 128;
/// After a connection that could not be taken (no file descriptor is left, say), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection on which nothing moves for so long is dead.
const IDLE: Duration = Duration::from_secs(300);

/// Outside: Unix socket to registry.
pub(super) fn outside(config: &Config) -> Result<(), EngineHostError> {
    for registry in &config.registries {
        let path = config.relay_socket(*registry);
        let listener = UnixListener::bind(&path).map_err(file_error("listen on", &path))?;
        let address = registry.address();
        serve(
            move || listener.accept().map(|(from, _)| from),
            move || TcpStream::connect(address),
        );
    }
    Ok(())
}

/// Inside: the registry's address to the Unix socket.
pub(super) fn inside(config: &Config) -> Result<(), EngineHostError> {
    for registry in &config.registries {
        let address = registry.address();
        let refused =
            |e: io::Error| EngineHostError::Refused(format!("listen on {address} inside: {e}"));
        let listener = TcpListener::bind(address).map_err(refused)?;
        let path = config.relay_socket(*registry);
        serve(
            move || listener.accept().map(|(from, _)| from),
            move || UnixStream::connect(&path),
        );
    }
    Ok(())
}

/// A stream with two ends that threads can share.
trait Stream: io::Read + io::Write + Send + Sized + 'static {
    fn twin(&self) -> io::Result<Self>;
    fn end(&self, how: Shutdown);
    fn limit(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn end(&self, how: Shutdown) {
        // The other side may have gone already.
        let _ended = self.shutdown(how);
    }
    fn limit(&self) -> io::Result<()> {
        self.set_nodelay(true)?;
        self.set_read_timeout(Some(IDLE))
    }
}

impl Stream for UnixStream {
    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn end(&self, how: Shutdown) {
        let _ended = self.shutdown(how);
    }
    fn limit(&self) -> io::Result<()> {
        self.set_read_timeout(Some(IDLE))
    }
}

fn serve<A: Stream, B: Stream>(
    accept: impl Fn() -> io::Result<A> + Send + 'static,
    connect: impl Fn() -> io::Result<B> + Send + Sync + 'static,
) {
    let (open, connect) = (Arc::new(AtomicUsize::new(0)), Arc::new(connect));
    std::thread::spawn(move || {
        loop {
            let from = match accept() {
                Ok(from) => from,
                Err(error) => {
                    tracing::warn!(%error, "the relay could not take a connection");
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
                open.fetch_sub(1, Ordering::SeqCst);
                tracing::warn!("the relay refuses a connection: {CONNECTIONS_MAX} are open");
                continue;
            }
            let (open, connect) = (Arc::clone(&open), Arc::clone(&connect));
            std::thread::spawn(move || {
                if let Err(error) = connect().and_then(|to| join(from, to)) {
                    tracing::debug!(%error, "a relayed connection ended");
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

/// Copies both ways until both have ended.
fn join<A: Stream, B: Stream>(from: A, to: B) -> io::Result<()> {
    from.limit()?;
    to.limit()?;
    let (mut from_twin, mut to_twin) = (from.twin()?, to.twin()?);
    let back = std::thread::spawn(move || {
        let copied = io::copy(&mut to_twin, &mut from_twin);
        from_twin.end(Shutdown::Write);
        copied
    });
    let (mut from, mut to) = (from, to);
    let copied = io::copy(&mut from, &mut to);
    to.end(Shutdown::Write);
    let _joined = back.join();
    copied.map(|_| ())
}
