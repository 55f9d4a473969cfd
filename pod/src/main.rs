//! The small static program in every pod: holds the namespaces open, asks readiness, and tries the
//! sandbox's rules from inside. Only the standard library; it never resolves a name, because every
//! name in a pod is loopback.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

/// Readiness is asked this often.
const READY_EVERY: Duration = Duration::from_millis(100);
/// A limit on processes is far below this.
const THREADS_MAX: usize = 500;
/// And one on open files, 16 384, not so far below this.
const FILES_MAX: usize = 17_000;
/// A limit is met in the first tenth of a second; on a host that is busy with other things it may take longer.
const BURN_MAX: Duration = Duration::from_secs(5);
const MIB: usize = 1024 * 1024;
/// `EAGAIN` and `EMFILE` on Linux.
const NO_MORE_THREADS: i32 = 11;
const NO_MORE_FILES: i32 = 24;
/// `SIGKILL`.
const KILLED: i32 = 9;
/// Where an engine's API could be met.
const ENGINE_SOCKETS: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
];
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
        ["rules", memory, work, covered] => match (memory.parse(), work.parse(), covered.parse()) {
            (Ok(memory), Ok(work), Ok(covered)) => rules(memory, work, covered),
            _ => ExitCode::from(2),
        },
        ["eat", mib, secs] => eat(mib, secs),
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

/// Tries each rule and prints `<rule> <held|broken> <what was seen>`, a line each. The numbers are what
/// memory, the work area and a folder that covers a VOLUME may hold, in MiB.
fn rules(memory: usize, work: usize, covered: usize) -> ExitCode {
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
    unreachable();
    execute_from_tmp();
    masked();
    read_only(
        "sysctl-read-only",
        fs::write("/proc/sys/kernel/domainname", b"x"),
    );
    let socket = ENGINE_SOCKETS
        .iter()
        .find(|path| fs::exists(path).unwrap_or(true));
    let seen = socket.map_or("none", |path| path);
    say("no-engine-socket", socket.is_none(), seen);
    // `<inside> <outside> <count>`: root inside is somebody else outside.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outside = map.split_whitespace().nth(1);
    say(
        "user-namespace",
        outside.is_some_and(|id| id != "0"),
        &format!("root is uid {} outside", outside.unwrap_or("unknown")),
    );
    spawn_many();
    open_many();
    fill("work-area-size", "/work/tried", work * 2);
    fill("volume-covered", "/covered/tried", covered + 16);
    eat_too_much(memory + memory / 2);
    burn();
    ExitCode::SUCCESS
}

/// A rule holds when what it forbids fails, for the reason that it gives: any other failure means that it
/// was not tried.
fn attempt(rule: &str, tried: io::Result<()>, refusal: &[io::ErrorKind]) {
    match tried {
        Ok(()) => say(rule, false, "it worked"),
        Err(error) if refusal.contains(&error.kind()) => say(rule, true, &error.to_string()),
        Err(error) => say(rule, false, &format!("could not be tried: {error}")),
    }
}

fn say(rule: &str, held: bool, seen: &str) {
    let word = if held { "held" } else { "broken" };
    // Nobody reads any more: then nothing is held, which whoever listens concludes from silence.
    let _ = writeln!(io::stdout(), "{rule} {word} {seen}");
}

/// A refused connection has reached somebody.
fn unreachable() {
    let address = SocketAddr::from(([172, 17, 0, 1], 22));
    let reached = match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        other => other.map(drop),
    };
    let refusal = [
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::HostUnreachable,
    ];
    attempt("host-unreachable", reached, &refusal);
}

/// Only that the program cannot be executed counts: a copy that fails would prove nothing.
fn execute_from_tmp() {
    match fs::copy("/proc/self/exe", "/tmp/tried") {
        Ok(_) => attempt(
            "tmp-noexec",
            Command::new("/tmp/tried").arg("true").status().map(drop),
            &[io::ErrorKind::PermissionDenied],
        ),
        Err(error) => say("tmp-noexec", false, &format!("could not be tried: {error}")),
    }
}

/// A write that fails because the file system takes none; that this user may not is no proof.
fn read_only(rule: &str, tried: io::Result<()>) {
    attempt(rule, tried, &[io::ErrorKind::ReadOnlyFilesystem]);
}

/// A kernel without keys has nothing to mask.
fn masked() {
    let mut byte = [0; 1];
    let read = fs::File::open("/proc/keys").and_then(|mut file| file.read(&mut byte));
    match read {
        Ok(0) => say("proc-masked", true, "it is empty"),
        Ok(_) => say("proc-masked", false, "it worked"),
        Err(error) => attempt("proc-masked", Err(error), &[io::ErrorKind::NotFound]),
    }
}

/// How many threads can be had at once.
fn spawn_many() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let receive = std::sync::Arc::new(std::sync::Mutex::new(receive));
    let mut threads = Vec::new();
    let mut refused = None;
    while threads.len() < THREADS_MAX {
        let receive = receive.clone();
        let wait = move || {
            let _ = receive.lock().map(|receive| receive.recv());
        };
        let spawned = thread::Builder::new().stack_size(64 * 1024).spawn(wait);
        match spawned {
            Ok(handle) => threads.push(handle),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let count = threads.len();
    drop(send);
    for handle in threads {
        let _ = handle.join();
    }
    counted("process-limit", "threads", count, refused, NO_MORE_THREADS);
}

/// How many files can be open at once.
fn open_many() {
    let mut files = Vec::new();
    let mut refused = None;
    while files.len() < FILES_MAX {
        match fs::File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let count = files.len();
    drop(files);
    counted("open-files", "open files", count, refused, NO_MORE_FILES);
}

fn counted(rule: &str, what: &str, count: usize, refused: Option<io::Error>, errno: i32) {
    let held = refused
        .as_ref()
        .is_some_and(|error| error.raw_os_error() == Some(errno));
    let why = refused
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    say(rule, held, &format!("{count} {what} at once{why}"));
}

/// Writes so many MiB into a file, which it takes away again.
fn fill(rule: &str, path: &str, mib: usize) {
    let block = vec![1; MIB];
    let filled = fs::File::create(path).and_then(|mut file| {
        for _ in 0..mib {
            file.write_all(&block)?;
        }
        Ok(())
    });
    // It may never have been there.
    let _ = fs::remove_file(path);
    attempt(rule, filled, &[io::ErrorKind::StorageFull]);
}

/// A child takes more memory than there may be; the kernel ends it.
fn eat_too_much(mib: usize) {
    let rule = "memory-limit";
    let eaten = Command::new("/proc/self/exe")
        .args(["eat", &mib.to_string(), "0"])
        .status();
    match eaten {
        Ok(status) if status.signal() == Some(KILLED) => {
            say(rule, true, &format!("{mib} MiB were not to be had"));
        }
        Ok(status) if status.success() => say(rule, false, "it worked"),
        Ok(status) => say(rule, false, &format!("could not be tried: {status}")),
        Err(error) => say(rule, false, &format!("could not be tried: {error}")),
    }
}

/// Takes so much memory, says so, and keeps it for so long.
fn eat(mib: &str, secs: &str) -> ExitCode {
    let (Ok(mib), Ok(secs)) = (mib.parse::<usize>(), secs.parse()) else {
        return ExitCode::from(2);
    };
    let eaten: Vec<Vec<u8>> = (0..mib).map(|_| vec![1; MIB]).collect();
    let _ = writeln!(io::stderr(), "eaten {} MiB", eaten.len());
    thread::sleep(Duration::from_secs(secs));
    ExitCode::from(u8::from(eaten.len() != mib))
}

/// Whoever takes more CPU time than there may be is held back, and the kernel counts how often.
fn burn() {
    let began = Instant::now();
    let mut turns = 0_u64;
    let mut held_back = throttled();
    while held_back == Some(0) && began.elapsed() < BURN_MAX {
        for _ in 0..10_000_000 {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
        held_back = throttled();
    }
    match held_back {
        Some(times) => say("cpu-limit", times > 0, &format!("held back {times} times")),
        None => say("cpu-limit", false, "could not be tried: no cpu.stat"),
    }
}

/// How often this container has been held back since it began.
fn throttled() -> Option<u64> {
    let folders = ["cpu", "cpu,cpuacct", "."];
    folders.iter().find_map(|folder| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{folder}/cpu.stat")).ok()?;
        let line = text
            .lines()
            .find(|line| line.starts_with("nr_throttled "))?;
        line.split(' ').nth(1)?.parse().ok()
    })
}
