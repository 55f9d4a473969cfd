//! What steps of the stories do, well or badly: one static program, compiled by the stories themselves and
//! put alone into their images. As `gitleaks` it is a scanner that does what the commit asks for, as
//! `hadolint` and `syft` one that does well.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;
const SIGTERM: i32 = 15;
/// `SIG_IGN`.
const IGNORE: usize = 1;

/// What scanners say that find nothing.
const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"NAME"}},"results":[]}]}"#;
const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"waitress","version":"3.0.2","purl":"pkg:pypi/waitress@3.0.2"}]}"#;
const JUNIT: &str = r#"<testsuite name="shop"><testcase name="sells"/></testsuite>"#;

unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        // Numbered lines, one every so many milliseconds.
        [_, "count", lines, pause] => count(lines.parse().unwrap(), pause.parse().unwrap()),
        // Children that have children, without end; itself it ends after three seconds.
        [_, "fork"] => fork(),
        [_, "fork", _] => loop {
            let _ = child();
        },
        // Writes until it may not.
        [_, "fill", path] => fill(path),
        [_, "stubborn"] => {
            // SAFETY: ignoring a signal runs no code of ours.
            unsafe { signal(SIGTERM, IGNORE) };
            println!("I stay");
            sleep(Duration::from_secs(600));
            ExitCode::SUCCESS
        }
        // 200 MB as fast as they are taken.
        [_, "flood"] => {
            let block = [b"x".repeat(99), b"\n".to_vec()].concat().repeat(10_000);
            let mut out = io::stdout().lock();
            for _ in 0..200 {
                out.write_all(&block).unwrap();
            }
            ExitCode::SUCCESS
        }
        [_, "garble"] => {
            io::stdout().write_all(b"before \xff\xfe\xc3( after\n").unwrap();
            ExitCode::SUCCESS
        }
        [_, "remove", path] => {
            // The folder itself is the pod's; what is in it is ours.
            println!("{:?}", fs::remove_dir_all(path));
            ExitCode::SUCCESS
        }
        // A file to keep, after two seconds.
        [_, "keep", path] => {
            sleep(Duration::from_secs(2));
            fs::write(path, b"kept").unwrap();
            ExitCode::SUCCESS
        }
        // Answers everybody well.
        [_, "serve", port] => serve(port.parse().unwrap()),
        // Tests that pass: of what is at this port, and of nothing else.
        [_, "ask", port, report] => ask(port.parse().unwrap(), report),
        [_, "test", lines, report] => {
            fs::write(report, JUNIT).unwrap();
            count(lines.parse().unwrap(), 10)
        }
        ["/usr/bin/gitleaks", "dir", folder, ..] => scan(folder),
        ["/usr/bin/hadolint", ..] => print(&SARIF.replace("NAME", "hadolint")),
        ["/usr/bin/syft", ..] => print(SBOM),
        _ => ExitCode::from(2),
    }
}

fn count(lines: u64, pause_ms: u64) -> ExitCode {
    let began = Instant::now();
    for line in 0..lines {
        println!("line {line}");
        let due = Duration::from_millis(pause_ms * (line + 1));
        sleep(due.saturating_sub(began.elapsed()));
    }
    ExitCode::SUCCESS
}

fn has_layer_with(folder: &str, path: &str) -> bool {
    let layers = fs::read_dir(folder).into_iter().flatten().flatten();
    layers.into_iter().any(|layer| layer.path().join(path).exists())
}

fn child() -> io::Result<std::process::Child> {
    Command::new("/proc/self/exe").args(["fork", "on"]).spawn()
}

fn fork() -> ExitCode {
    // Its own children leave it little time: it may take a while until it is its turn to be refused.
    let began = Instant::now();
    let mut refused = false;
    while !refused && began.elapsed() < Duration::from_secs(30) {
        refused = child().is_err();
    }
    println!("refused: {refused}");
    ExitCode::from(7)
}

fn fill(path: &str) -> ExitCode {
    let mut file = File::create(path).unwrap();
    let block = vec![1; MIB];
    for mib in 0..100_000 {
        if let Err(error) = file.write_all(&block) {
            println!("full after {mib} MiB: {:?}", error.kind());
            return ExitCode::from(3);
        }
    }
    ExitCode::SUCCESS
}

fn serve(port: u16) -> ExitCode {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

fn ask(port: u16, report: &str) -> ExitCode {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    fs::write(report, JUNIT).unwrap();
    ExitCode::SUCCESS
}

fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn scan(folder: &str) -> ExitCode {
    // The layers of an image hold no commit.
    let commit = fs::read_to_string("/work/src/.sallyport.yml").unwrap_or_default();
    if commit.contains("# scanner: crashes") {
        std::process::abort();
    }
    if commit.contains("# scanner: hangs") {
        sleep(Duration::from_secs(600));
    }
    if commit.contains("# scanner: babbles") {
        return print("<html>not a report</html>");
    }
    if commit.contains("# scanner: takes its time") || has_layer_with(folder, "srv/takes-time") {
        sleep(Duration::from_secs(3));
    }
    print(&SARIF.replace("NAME", "gitleaks"))
}
