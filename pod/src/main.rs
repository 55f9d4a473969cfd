//! The small static program in every pod: holds the namespaces open, asks readiness, and tries the
//! sandbox's rules from inside. Only the standard library; it never resolves a name, because every
//! name in a pod is loopback.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Readiness is asked this often.
const READY_EVERY: Duration = Duration::from_millis(100);
/// One question may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hold"] => loop {
            thread::park();
        },
        ["ready-tcp", port] => until(port, |address| {
            TcpStream::connect_timeout(&address, QUESTION_TIMEOUT).map(|_| true)
        }),
        ["ready-http", host, port, path] => until(port, |address| answers(address, host, path)),
        ["rules"] => rules(),
        ["true"] => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

/// Asks until the answer is yes; whoever waits decides for how long.
fn until(port: &str, ask: impl Fn(SocketAddr) -> io::Result<bool>) -> ExitCode {
    let Ok(port) = port.parse::<u16>() else {
        return ExitCode::from(2);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    loop {
        if ask(address).unwrap_or(false) {
            return ExitCode::SUCCESS;
        }
        thread::sleep(READY_EVERY);
    }
}

/// A GET that answers 2xx or 3xx.
fn answers(address: SocketAddr, host: &str, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, QUESTION_TIMEOUT)?;
    stream.set_read_timeout(Some(QUESTION_TIMEOUT))?;
    stream.set_write_timeout(Some(QUESTION_TIMEOUT))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: sallyport-pod\r\nConnection: close\r\n\r\n",
        address.port()
    );
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.starts_with(b"HTTP/1.") && matches!(head[9], b'2' | b'3'))
}

/// Tries each rule and prints `<rule> <held|broken> <what was seen>`, a line each.
fn rules() -> ExitCode {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or("missing")
            .to_owned()
    };
    let none = |text: &str| text.bytes().all(|b| b == b'0');
    let (effective, bounding) = (field("CapEff"), field("CapBnd"));
    say(
        "no-capabilities",
        none(&effective) && none(&bounding),
        &format!("effective {effective} bounding {bounding}"),
    );
    let value = field("NoNewPrivs");
    say("no-new-privileges", value == "1", &value);
    let value = field("Seccomp");
    say("seccomp", value == "2", &format!("mode {value}"));
    let value = field("Uid");
    say(
        "not-root",
        !value.split_whitespace().any(|id| id == "0"),
        &value,
    );
    read_only("read-only-root", fs::write("/tried", b"x"));
    let links = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let others: Vec<&str> = links
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "lo")
        .collect();
    // A kernel makes tunnel devices of its own in each namespace; without a route they are nothing.
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = routes.lines().skip(1).count();
    let seen = format!("{routes} routes, links beside lo: {}", others.join(" "));
    say("no-network", routes == 0, &seen);
    attempt("host-unreachable", reach());
    execute_from_tmp();
    attempt("proc-masked", masked());
    read_only(
        "sysctl-read-only",
        fs::write("/proc/sys/kernel/domainname", b"x"),
    );
    let spawned = spawn_many();
    say(
        "process-limit",
        spawned < 2000,
        &format!("{spawned} threads at once"),
    );
    say(
        "no-engine-socket",
        !fs::exists("/var/run/docker.sock").unwrap_or(true),
        "/var/run/docker.sock",
    );
    ExitCode::SUCCESS
}

/// A rule holds when what it forbids fails.
fn attempt(rule: &str, tried: io::Result<()>) {
    match tried {
        Ok(()) => say(rule, false, "it worked"),
        Err(error) => say(rule, true, &error.to_string()),
    }
}

fn say(rule: &str, held: bool, seen: &str) {
    let word = if held { "held" } else { "broken" };
    // Nobody reads any more: then nothing is held, which whoever listens concludes from silence.
    let _ = writeln!(io::stdout(), "{rule} {word} {seen}");
}

fn reach() -> io::Result<()> {
    let address = SocketAddr::from(([172, 17, 0, 1], 22));
    match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// Only that the program cannot be executed counts: a copy that fails would prove nothing.
fn execute_from_tmp() {
    match fs::copy("/proc/self/exe", "/tmp/tried") {
        Ok(_) => attempt(
            "tmp-noexec",
            Command::new("/tmp/tried").arg("true").status().map(drop),
        ),
        Err(error) => say("tmp-noexec", false, &format!("could not be tried: {error}")),
    }
}

/// A write that fails because the file system takes none; that this user may not is no proof.
fn read_only(rule: &str, tried: io::Result<()>) {
    match tried {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            say(rule, true, &error.to_string());
        }
        Err(error) => say(rule, false, &error.to_string()),
        Ok(()) => say(rule, false, "it worked"),
    }
}

fn masked() -> io::Result<()> {
    let mut byte = [0; 1];
    match fs::File::open("/proc/keys")?.read(&mut byte)? {
        0 => Err(io::Error::other("it is empty")),
        _ => Ok(()),
    }
}

/// How many threads can be had at once, up to 2000.
fn spawn_many() -> usize {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let receive = std::sync::Arc::new(std::sync::Mutex::new(receive));
    let mut threads = Vec::new();
    while threads.len() < 2000 {
        let receive = receive.clone();
        let wait = move || {
            let _ = receive.lock().map(|receive| receive.recv());
        };
        let spawned = thread::Builder::new().stack_size(64 * 1024).spawn(wait);
        let Ok(handle) = spawned else { break };
        threads.push(handle);
    }
    let count = threads.len();
    drop(send);
    for handle in threads {
        let _ = handle.join();
    }
    count
}
