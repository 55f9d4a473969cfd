//! A push against a receiver that accepts and never answers: the push is good and hardly longer, and
//! the delivery arrives once the receiver answers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What a push may wait at the most, with a second for a slow machine's git.
const PUSH_MAX: Duration = Duration::from_millis(3_500);
/// The retry comes after 1, 2 and 5 s.
const ARRIVAL_MAX: Duration = Duration::from_secs(40);

fn git(folder: &Path, words: &[&str]) -> bool {
    Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=d", "-c", "user.email=d@shop.example"])
        .args(words)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What `sallyport hook install` writes, with the receiver's address.
fn install(bare: &Path, port: u16) -> std::io::Result<()> {
    let folder = bare.join("sallyport");
    std::fs::create_dir_all(folder.join("spool"))?;
    std::fs::write(
        folder.join("url"),
        format!("http://127.0.0.1:{port}/hooks/x\n"),
    )?;
    std::fs::write(folder.join("secret"), format!("{SECRET}\n"))?;
    let script = bare.join("hooks/post-receive");
    let program = env!("CARGO_BIN_EXE_sallyport");
    let text = format!(
        "#!/bin/sh\nexec '{program}' hook deliver --repository '{}'\n",
        bare.display()
    );
    std::fs::create_dir_all(bare.join("hooks"))?;
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
}

/// Accepts every connection; answers only once it may, and then tells what it read.
fn receiver(listener: TcpListener, may_answer: Arc<AtomicBool>, tell: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            if !may_answer.load(Ordering::SeqCst) {
                kept.push(stream);
                continue;
            }
            let mut stream = stream;
            let mut buffer = [0; 8_192];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let body = "{\"outcome\":\"accepted\",\"url\":\"u\"}";
            let answer = format!(
                "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _written = stream.write_all(answer.as_bytes());
            let _told = tell.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
        }
    });
}

#[test]
fn a_push_does_not_wait_for_a_receiver_that_never_answers_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (bare, clone) = (folder.path().join("shop.git"), folder.path().join("shop"));
    assert!(git(
        folder.path(),
        &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]
    ));
    assert!(git(
        folder.path(),
        &["init", "-q", "-b", "main", clone.to_str().unwrap()]
    ));
    std::fs::write(clone.join("a"), "a").unwrap();
    assert!(git(&clone, &["add", "--all"]) && git(&clone, &["commit", "-q", "-m", "a"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    install(&bare, listener.local_addr().unwrap().port()).unwrap();
    let may_answer = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    receiver(listener, Arc::clone(&may_answer), tell);

    let began = Instant::now();
    assert!(
        git(&clone, &["push", "-q", bare.to_str().unwrap(), "main"]),
        "the push failed"
    );
    let took = began.elapsed();
    assert!(took <= PUSH_MAX, "the push took {took:?}");
    assert_eq!(
        std::fs::read_dir(bare.join("sallyport/spool"))
            .unwrap()
            .count(),
        1
    );

    may_answer.store(true, Ordering::SeqCst);
    let request = told.recv_timeout(ARRIVAL_MAX).unwrap();
    assert!(request.contains("webhook-signature: v1,"), "{request}");
    let deadline = Instant::now() + ARRIVAL_MAX;
    while std::fs::read_dir(bare.join("sallyport/spool"))
        .unwrap()
        .count()
        > 0
    {
        assert!(Instant::now() < deadline, "what was taken still waits");
        std::thread::yield_now();
    }
}
