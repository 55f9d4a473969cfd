//! What steps of the stories do, well or badly: one static program, compiled by the stories themselves and
//! put alone into their images. As `gitleaks` it is a scanner that does what the commit asks for.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;
const SIGTERM: i32 = 15;
/// `SIG_IGN`.
const IGNORE: usize = 1;

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
        ["/usr/bin/gitleaks", ..] => scan(),
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

fn scan() -> ExitCode {
    let commit = fs::read_to_string("/work/src/.sallyport.yml").unwrap();
    if commit.contains("# scanner: crashes") {
        std::process::abort();
    }
    if commit.contains("# scanner: hangs") {
        sleep(Duration::from_secs(600));
    }
    println!("<html>not a report</html>");
    ExitCode::SUCCESS
}
