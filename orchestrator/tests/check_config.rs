//! `check-config` of server and signer, as programs: all that is wrong at once, nothing started, nothing
//! made, and the exit code that is the answer.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// Exit code and what was said.
fn run(folder: &Path, words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args(words)
        .current_dir(folder)
        .env_remove("SALLYPORT_CONFIG")
        .output()
        .expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&said).into_owned())
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

#[test]
fn everything_that_is_wrong_with_a_servers_configuration_is_said_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let uid = nix::unistd::geteuid().as_raw();
    let text = format!(
        "[server]\npublic-url = \"http://localhost:7420\"\nlisten = \"127.0.0.1:7420\"\ndata-dir = \"data\"\n\
         [worker]\nlisten = \"127.0.0.1:7421\"\n[database]\nurl-file = \"database.url\"\n\
         [signer]\nsocket = \"signer.sock\"\nuid = {uid}\n\
         [registry]\nname = \"registry.example\"\nca-file = \"ca.pem\"\n\
         [master-key]\nfile = \"master.key\"\n"
    );
    write(&at("sallyport.toml"), &text, 0o644);
    write(&at("database.url"), "postgres://a:b@c/d", 0o644);
    write(&at("ca.pem"), "no certificate", 0o644);
    write(&at("master.key"), &"42".repeat(32), 0o640);
    std::fs::create_dir(at("data")).expect("a folder");
    std::fs::set_permissions(at("data"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let (code, said) = run(folder.path(), &["check-config"]);
    assert_eq!(code, 1, "{said}");
    for wanted in [
        "error: sallyport.toml, line 4: [server] data-dir: mode 755 lets others in; run `chmod 700 data`",
        "error: sallyport.toml, line 8: [database] url-file: mode 644 lets others read it",
        "error: sallyport.toml, line 10: [signer] socket: signer.sock: ",
        "error: sallyport.toml, line 14: [registry] ca-file: ca.pem holds no certificate",
        "error: sallyport.toml, line 16: [master-key] file: master key file master.key: mode 640",
    ] {
        assert!(said.contains(wanted), "{wanted}\nis not in\n{said}");
    }
    assert!(
        !said.contains("a:b") && !said.contains(&"42".repeat(32)),
        "{said}"
    );
    let made: Vec<_> = std::fs::read_dir(at("data")).expect("the folder").collect();
    assert!(made.is_empty(), "nothing was started: {made:?}");

    // Mended, it is good; a flag that is not is blamed by its name.
    for (name, mode) in [
        ("data", 0o700),
        ("database.url", 0o600),
        ("master.key", 0o600),
    ] {
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode))
            .expect("its mode");
    }
    let ca = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
    write(&at("ca.pem"), &ca.cert.pem(), 0o644);
    let _signer = UnixListener::bind(at("signer.sock")).expect("a socket");
    let (code, said) = run(folder.path(), &["check-config"]);
    assert_eq!((code, said.as_str()), (0, "sallyport.toml is good\n"));
    // A folder that was restored in part.
    std::fs::create_dir(at("data/keys")).expect("a folder");
    std::fs::set_permissions(at("data/keys"), std::fs::Permissions::from_mode(0o700))
        .expect("its mode");
    let (code, said) = run(folder.path(), &["check-config"]);
    let wanted = "error: sallyport.toml, line 4: [server] data-dir: read data/ca.pem: ";
    assert!(code == 1 && said.starts_with(wanted), "{said}");
    std::fs::remove_dir(at("data/keys")).expect("the folder goes");
    write(&at("database.url"), "mysql://a:b@c/d\n", 0o600);
    let (code, said) = run(folder.path(), &["check-config"]);
    let wanted =
        "error: sallyport.toml, line 8: [database] url-file: database.url: wanted `postgres://…`";
    assert!(code == 1 && said.starts_with(wanted), "{said}");
    assert!(!said.contains("a:b"), "{said}");
    let (code, said) = run(
        folder.path(),
        &["check-config", "--set", "server.listen=there"],
    );
    assert_eq!(code, 1, "{said}");
    assert!(
        said.starts_with(
            "error: --set server.listen: `there` is no address with a port: wanted one like"
        ),
        "{said}"
    );
}

#[test]
fn a_signers_configuration_is_checked_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let text = "[signer]\nsocket = \"run/signer.sock\"\ndata-dir = \"data\"\nserver-uid = 1\n\
                [master-key]\nenv = \"NO_SUCH_VARIABLE\"\n";
    write(&at("signer.toml"), text, 0o644);
    let words = ["--config", "signer.toml", "signer", "check-config"];
    let (code, said) = run(folder.path(), &words);
    assert_eq!(code, 1, "{said}");
    for wanted in [
        "signer.toml, line 3: [signer] data-dir: data is not there: run `init` first",
        "signer.toml, line 2: [signer] socket: there is no folder run to listen in",
        "signer.toml, line 6: [master-key] env: master key: the environment has no variable NO_SUCH_VARIABLE",
    ] {
        assert!(said.contains(wanted), "{wanted}\nis not in\n{said}");
    }
    write(&at("master.key"), &"42".repeat(32), 0o600);
    std::fs::create_dir(at("run")).expect("a folder");
    std::fs::create_dir(at("data")).expect("a folder");
    std::fs::set_permissions(at("data"), std::fs::Permissions::from_mode(0o700)).expect("its mode");
    let text = text.replace("env = \"NO_SUCH_VARIABLE\"", "file = \"master.key\"");
    write(&at("signer.toml"), &text, 0o644);
    let (code, said) = run(folder.path(), &words);
    assert_eq!((code, said.as_str()), (0, "signer.toml is good\n"));
}
