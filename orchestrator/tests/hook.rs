//! A push against a receiver that accepts and never answers: the push is good and hardly longer, and
//! the delivery arrives once the receiver answers.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail as tests do; the permission for tests does not reach them here"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How much longer a push may take.
const PUSH_MAX: Duration = Duration::from_millis(2_500);
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

/// The API at `admin.sock`, as far as `sallyport hook install` asks it: makes hook after hook at `port`, and
/// tells what was asked.
fn api(data: &Path, port: u16, asked: mpsc::Sender<String>) {
    let listener = UnixListener::bind(data.join("admin.sock")).unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = stream;
            let mut buffer = [0; 8_192];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            let body =
                format!("{{\"id\":\"h\",\"url\":\"http://127.0.0.1:{port}/hooks/h{number}\"}}");
            let answer = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _written = stream.write_all(answer.as_bytes());
            let _told = asked.send(line);
        }
    });
}

/// `sallyport hook install`, as people run it.
fn install(folder: &Path, bare: &Path) -> String {
    let (is_good, said) = installing(folder, bare);
    assert!(is_good, "{said}");
    said
}

/// Whether it was installed, and all that was said.
fn installing(folder: &Path, bare: &Path) -> (bool, String) {
    let config = folder.join("sallyport.toml");
    let text = format!(
        "[server]\npublic-url = \"http://localhost:7420\"\nlisten = \"127.0.0.1:7420\"\n\
         data-dir = \"{0}\"\n[worker]\nlisten = \"127.0.0.1:7421\"\n\
         [signer]\nsocket = \"{0}/signer.sock\"\nuid = 0\n[registry]\nname = \"registry.example\"\n\
         [master-key]\nfile = \"{0}/master.key\"\n",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let installed = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args(["--config".as_ref(), config.as_os_str()])
        .args(["hook", "install", "--project", "shop"])
        .arg(bare)
        .env_remove("SALLYPORT_URL")
        .output()
        .unwrap();
    let said = [installed.stdout, installed.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (installed.status.success(), said)
}

/// A repository with its hook, and a clone with one commit.
struct Repositories {
    folder: tempfile::TempDir,
    bare: PathBuf,
    clone: PathBuf,
    asked: mpsc::Receiver<String>,
}

impl Repositories {
    fn installed(port: u16) -> Self {
        let shop = Self::new(port);
        install(shop.folder.path(), &shop.bare);
        shop
    }

    fn new(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bare, clone) = (folder.path().join("shop.git"), folder.path().join("shop"));
        let words = ["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()];
        assert!(git(folder.path(), &words));
        let words = ["init", "-q", "-b", "main", clone.to_str().unwrap()];
        assert!(git(folder.path(), &words));
        std::fs::write(clone.join("a"), "a").unwrap();
        assert!(git(&clone, &["add", "--all"]) && git(&clone, &["commit", "-q", "-m", "a"]));
        let (tell, asked) = mpsc::channel();
        api(folder.path(), port, tell);
        Self {
            folder,
            bare,
            clone,
            asked,
        }
    }

    /// Pushes; how long it took.
    fn pushes(&self, onto: &str) -> Duration {
        let began = Instant::now();
        let refspec = format!("HEAD:{onto}");
        let words = ["push", "-q", self.bare.to_str().unwrap(), &refspec];
        assert!(git(&self.clone, &words), "the push failed");
        began.elapsed()
    }

    fn secret(&self) -> String {
        let text = std::fs::read_to_string(self.bare.join("sallyport/receiver")).unwrap();
        text.trim().split_once(' ').unwrap().1.to_owned()
    }

    fn waiting(&self) -> usize {
        std::fs::read_dir(self.bare.join("sallyport/spool"))
            .unwrap()
            .count()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + ARRIVAL_MAX;
        while !is_so() {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::yield_now();
        }
    }

    /// The processes that this repository's pushes left behind.
    fn retries(&self) -> usize {
        let bare = self.bare.display().to_string();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let words = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        words
            .filter(|words| {
                let words = String::from_utf8_lossy(words).replace('\0', " ");
                words.contains("hook retry") && words.contains(&bare)
            })
            .count()
    }
}

/// Accepts every connection; answers with `status` only once it may, and then tells what it read.
fn receiver(
    listener: TcpListener,
    may_answer: Arc<AtomicBool>,
    status: fn(&str) -> &'static str,
    tell: mpsc::Sender<String>,
) {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            if !may_answer.load(Ordering::SeqCst) {
                kept.push(stream);
                continue;
            }
            let mut stream = stream;
            let request = whole_request(&mut stream);
            let body = "{\"outcome\":\"accepted\",\"url\":\"u\",\"detail\":\"d\"}";
            let answer = format!(
                "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                status(&request),
                body.len()
            );
            let _written = stream.write_all(answer.as_bytes());
            let _told = tell.send(request);
        }
    });
}

/// A header of a request, and what it is.
fn header<'r>(request: &'r str, name: &str) -> &'r str {
    let lead = format!("{name}: ");
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix(&lead)).unwrap()
}

/// Whether a request is signed as Standard Webhooks are: HMAC-SHA256 over `id.timestamp.body`.
fn is_signed(request: &str, secret: &str) -> bool {
    use base64::Engine as _;
    use hmac::{KeyInit as _, Mac as _};
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let (id, at) = (
        header(request, "webhook-id"),
        header(request, "webhook-timestamp"),
    );
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let wanted = format!("v1,{}", base64.encode(mac.finalize().into_bytes()));
    header(request, "webhook-signature") == wanted
}

/// Head and body, which may come in two pieces.
fn whole_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 8_192];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.ends_with('}'))
        {
            return text;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(bytes) => read.extend_from_slice(&buffer[..bytes]),
        }
    }
}

#[test]
fn a_push_does_not_wait_for_a_receiver_that_never_answers_and_nothing_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Repositories::installed(listener.local_addr().unwrap().port());
    let may_answer = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    receiver(listener, Arc::clone(&may_answer), |_| "202 Accepted", tell);
    // The same push without the hook, for what git itself takes here.
    let script = shop.bare.join("hooks/post-receive");
    std::fs::rename(&script, script.with_extension("away")).unwrap();
    let without = shop.pushes("refs/heads/without");
    std::fs::rename(script.with_extension("away"), &script).unwrap();

    let took = shop.pushes("refs/heads/main");
    assert!(
        took <= without + PUSH_MAX,
        "{took:?}, {without:?} without the hook"
    );
    assert_eq!(shop.waiting(), 1);
    // A second push in the same outage leaves no second process.
    shop.pushes("refs/heads/other");
    assert_eq!(shop.waiting(), 2);
    shop.until("one retry is left", || shop.retries() == 1);

    may_answer.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let request = told.recv_timeout(ARRIVAL_MAX).unwrap();
        assert!(is_signed(&request, &shop.secret()), "{request}");
    }
    shop.until("what was taken is gone", || shop.waiting() == 0);
    shop.until("the retry ends", || shop.retries() == 0);
}

#[test]
fn a_delivery_that_is_refused_for_good_holds_up_no_later_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Repositories::installed(listener.local_addr().unwrap().port());
    let (tell, told) = mpsc::channel();
    let status = |request: &str| {
        if request.contains("refs/heads/bad") {
            "413 Payload Too Large"
        } else {
            "202 Accepted"
        }
    };
    receiver(listener, Arc::new(AtomicBool::new(true)), status, tell);
    shop.pushes("refs/heads/bad");
    shop.pushes("refs/heads/good");
    for name in ["refs/heads/bad", "refs/heads/good"] {
        let request = told.recv_timeout(ARRIVAL_MAX).unwrap();
        assert!(request.contains(name), "{request}");
    }
    shop.until("nothing waits", || shop.waiting() == 0);
    let refused = shop.bare.join("sallyport/refused");
    let mut ends: Vec<String> = std::fs::read_dir(refused)
        .unwrap()
        .flatten()
        .filter_map(|entry| Some(entry.path().extension()?.to_str()?.to_owned()))
        .collect();
    ends.sort();
    assert_eq!(ends, ["json", "txt"]);
}

#[test]
fn installing_again_takes_the_place_of_the_hook_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Repositories::installed(listener.local_addr().unwrap().port());
    let before = std::fs::read_to_string(shop.bare.join("sallyport/receiver")).unwrap();
    let said = install(shop.folder.path(), &shop.bare);
    let after = std::fs::read_to_string(shop.bare.join("sallyport/receiver")).unwrap();
    let (url, secret) = before.trim().split_once(' ').unwrap();
    assert!(
        !after.contains(url) && !after.contains(secret),
        "{before}{after}"
    );
    assert!(said.contains("is switched off"), "{said}");
    let asked: Vec<String> = shop.asked.try_iter().collect();
    assert_eq!(
        asked,
        [
            "POST /api/v1/projects/shop/hooks HTTP/1.1",
            "POST /api/v1/projects/shop/hooks HTTP/1.1",
            "POST /api/v1/projects/shop/hooks/h0/disable HTTP/1.1",
        ]
    );
}

#[test]
fn a_retry_is_the_same_delivery_signed_anew() {
    static WAS_ASKED: AtomicBool = AtomicBool::new(false);
    let status = |_: &str| match WAS_ASKED.swap(true, Ordering::SeqCst) {
        false => "503 Service Unavailable",
        true => "202 Accepted",
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Repositories::installed(listener.local_addr().unwrap().port());
    let (tell, told) = mpsc::channel();
    receiver(listener, Arc::new(AtomicBool::new(true)), status, tell);
    shop.pushes("refs/heads/main");
    let requests = [0, 1].map(|_| told.recv_timeout(ARRIVAL_MAX).unwrap());
    let [first, second] = requests.each_ref().map(|request| {
        assert!(is_signed(request, &shop.secret()), "{request}");
        let at: u64 = header(request, "webhook-timestamp").parse().unwrap();
        (header(request, "webhook-id"), at)
    });
    assert_eq!(first.0, second.0, "the id is the delivery's");
    assert!(first.1 < second.1, "{first:?} {second:?}");
    shop.until("the retry ends", || shop.retries() == 0);
}

#[test]
fn no_link_in_the_repository_is_followed() {
    let shop = Repositories::new(9);
    let elsewhere = shop.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let nothing = shop.folder.path().join("nothing");
    let spool = shop.bare.join("sallyport");
    let script = shop.bare.join("hooks/post-receive");
    for (link, target) in [
        (&spool, &elsewhere),
        (&spool, &nothing),
        (&script, &nothing),
        (&shop.bare.join("sallyport/receiver"), &nothing),
    ] {
        let folder = link.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::os::unix::fs::symlink(target, link).unwrap();
        let before = std::fs::metadata(&elsewhere).unwrap();
        let (is_good, said) = installing(shop.folder.path(), &shop.bare);
        let after = std::fs::metadata(&elsewhere).unwrap();
        assert!(!nothing.exists(), "{}: {said}", link.display());
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "{said}");
        assert_eq!(owner_and_mode(&before), owner_and_mode(&after));
        // A receiver that is a link is replaced, the others are refused before anything is made.
        if link.ends_with("receiver") {
            assert!(is_good, "{said}");
            assert!(std::fs::symlink_metadata(link).unwrap().is_file());
        } else {
            assert!(
                !is_good && said.contains("no link is followed here"),
                "{said}"
            );
            assert_eq!(
                shop.asked.try_iter().count(),
                0,
                "no hook was made for nothing"
            );
            std::fs::remove_file(link).unwrap();
        }
    }
}

fn owner_and_mode(of: &std::fs::Metadata) -> (u32, u32, u32) {
    use std::os::unix::fs::MetadataExt as _;
    (of.uid(), of.gid(), of.mode())
}

#[test]
fn what_is_installed_belongs_to_the_repositorys_owner() {
    use std::os::unix::fs::MetadataExt as _;
    let shop = Repositories::new(9);
    let _made_by_git = std::fs::remove_dir_all(shop.bare.join("hooks"));
    // Root installs for somebody; whoever else tests, for themself.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&shop.bare, Some(4_711), Some(4_712)).unwrap();
    }
    let owner = std::fs::metadata(&shop.bare).unwrap();
    install(shop.folder.path(), &shop.bare);
    for (name, mode) in [
        ("sallyport", 0o700),
        ("sallyport/spool", 0o700),
        ("sallyport/receiver", 0o600),
        ("hooks/post-receive", 0o755),
    ] {
        let found = std::fs::symlink_metadata(shop.bare.join(name)).unwrap();
        let of = (found.uid(), found.gid());
        assert_eq!(of, (owner.uid(), owner.gid()), "{name}");
        assert_eq!(found.mode() & 0o777, mode, "{name}");
    }
    // A folder of hooks that is another's stays another's.
    if nix::unistd::geteuid().is_root() {
        let hooks = shop.bare.join("hooks");
        std::os::unix::fs::chown(&hooks, Some(0), Some(0)).unwrap();
        install(shop.folder.path(), &shop.bare);
        for path in [hooks.join("post-receive"), hooks] {
            assert_eq!(
                std::fs::metadata(&path).unwrap().uid(),
                0,
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_hook_that_is_there_stays_and_tells_pushes_by_one_more_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Repositories::new(listener.local_addr().unwrap().port());
    let script = shop.bare.join("hooks/post-receive");
    let own = "#!/bin/sh\necho mine\n";
    std::fs::create_dir_all(shop.bare.join("hooks")).unwrap();
    std::fs::write(&script, own).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (is_good, said) = installing(shop.folder.path(), &shop.bare);
    assert!(
        !is_good && said.contains("no push is told until this line is in it"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&script).unwrap(), own);
    let line = said
        .lines()
        .find(|line| line.contains("hook deliver --repository"));
    std::fs::write(&script, format!("{own}{}\n", line.unwrap())).unwrap();

    let (tell, told) = mpsc::channel();
    receiver(
        listener,
        Arc::new(AtomicBool::new(true)),
        |_| "202 Accepted",
        tell,
    );
    shop.pushes("refs/heads/main");
    let request = told.recv_timeout(ARRIVAL_MAX).unwrap();
    assert!(is_signed(&request, &shop.secret()), "{request}");
    let (is_good, said) = installing(shop.folder.path(), &shop.bare);
    assert!(is_good && said.contains("are delivered to"), "{said}");
}

#[test]
fn what_keeps_a_hook_from_running_or_a_push_from_being_told_is_said() {
    let shop = Repositories::new(9);
    let said = install(shop.folder.path(), &shop.bare);
    assert!(!said.contains("warning"), "{said}");
    for words in [
        ["config", "core.hooksPath", "/srv/hooks"],
        ["config", "core.sharedRepository", "group"],
    ] {
        assert!(git(&shop.bare, &words));
    }
    let said = install(shop.folder.path(), &shop.bare);
    assert!(
        said.contains("core.hooksPath is /srv/hooks: git runs the hooks there"),
        "{said}"
    );
    assert!(
        said.contains("core.sharedRepository lets other accounts push"),
        "{said}"
    );
}
