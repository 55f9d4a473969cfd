//! Our envelopes, verified by securesystemslib: none of our code has a part in it.

use contract::digest::Digest;
use evidence::{dsse, keys, names, statement};
use p256::ecdsa::SigningKey;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The same script and the same pinned packages as `cargo demo --check`.
const XTASK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/src/demo");

/// A virtual environment with securesystemslib, made once and kept with the build.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("securesystemslib");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| {
        let done = command.status().expect("it starts");
        assert!(done.success(), "{command:?}");
    };
    let has_it = || {
        let import = Command::new(&python)
            .args(["-c", "import securesystemslib.dsse"])
            .status();
        import.is_ok_and(|status| status.success())
    };
    if !has_it() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder));
        run(Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--only-binary",
                ":all:",
            ])
            .arg("-r")
            .arg(format!("{XTASK}/check-requirements.txt")));
    }
    python
}

#[test]
#[ignore = "needs a package index for securesystemslib; cargo ci has one"]
fn securesystemslib_accepts_our_envelope_and_refuses_another_byte_or_key() {
    let folder = std::env::temp_dir().join(format!("independent-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let python = python();
    let good = SigningKey::from_slice(&[6; 32]).expect("a key");
    let other = SigningKey::from_slice(&[5; 32]).expect("a key");
    let bytes = statement::sbom("shop/web", Digest::of(b"image"), b"{}").expect("a statement");
    let accepts = |envelope: &dsse::Envelope, key: &SigningKey| {
        let (file, pem) = (folder.join("envelope"), folder.join("key.pub"));
        let json = serde_json::to_vec(envelope).expect("JSON");
        std::fs::write(&file, json).expect("a file");
        let text = keys::to_pem(key.verifying_key()).expect("a PEM");
        std::fs::write(&pem, text).expect("a file");
        let output = Command::new(&python)
            .arg(format!("{XTASK}/verify-dsse.py"))
            .args([&file, &pem])
            .arg(keys::key_id(key.verifying_key()).expect("an id"))
            .output()
            .expect("it starts");
        output.status.success() && output.stdout == bytes
    };
    let envelope = dsse::sign(names::IN_TOTO, &bytes, &good).expect("an envelope");
    assert!(accepts(&envelope, &good));
    assert!(!accepts(&envelope, &other));
    let mut flipped = envelope;
    flipped.payload_type.push('x');
    assert!(!accepts(&flipped, &good));
    std::fs::remove_dir_all(&folder).expect("gone");
}
