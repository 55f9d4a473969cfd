//! What the engine's network namespace reaches, tried from inside it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// The engine's dockerd, known by its socket.
fn dockerd(socket: &str) -> String {
    let host = format!("unix://{socket}");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        .find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with("dockerd\0") && line.split('\0').any(|word| word == host)
        })
        .unwrap()
}

/// Runs in a thread of its own, which joins the namespace and ends with it.
fn inside<T: Send + 'static>(pid: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let joined = std::thread::spawn(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    joined.join().unwrap()
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, PATIENCE)
}

#[test]
#[ignore = "needs the worker's own container engine and its registry's address: SALLYPORT_TEST_ENGINE, SALLYPORT_TEST_REGISTRY"]
fn the_engine_reaches_its_registry_and_nothing_else() {
    let pid = dockerd(&std::env::var("SALLYPORT_TEST_ENGINE").unwrap());
    let routes = inside(&pid, || {
        std::fs::read_to_string("/proc/thread-self/net/route").unwrap()
    });
    assert_eq!(
        routes.lines().count(),
        1,
        "a heading and no route: {routes}"
    );

    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let address = canary.local_addr().unwrap();
    let refused = inside(&pid, move || connect(address).unwrap_err().kind());
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert_eq!(canary.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let host = SocketAddr::from(([172, 17, 0, 1], 22));
    let refused = inside(&pid, move || connect(host).unwrap_err().kind());
    assert_eq!(refused, ErrorKind::NetworkUnreachable);

    let address: SocketAddr = std::env::var("SALLYPORT_TEST_REGISTRY")
        .unwrap()
        .parse()
        .unwrap();
    let registry = TcpListener::bind(address).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = registry.accept().unwrap();
        stream.write_all(b"registry").unwrap();
    });
    let heard = inside(&pid, move || {
        let mut heard = String::new();
        connect(address)
            .unwrap()
            .read_to_string(&mut heard)
            .unwrap();
        heard
    });
    assert_eq!(heard, "registry");
    answering.join().unwrap();
}
