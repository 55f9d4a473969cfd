//! Our envelopes, verified by securesystemslib: none of our code has a part in it.

use contract::digest::Digest;
use evidence::{dsse, keys, names, statement};
use p256::ecdsa::SigningKey;
use std::process::Command;

/// The same script as `cargo demo --check`.
const XTASK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/src/demo");

#[test]
#[ignore = "needs SALLYPORT_TEST_PYTHON, a Python with securesystemslib, which cargo ci sets"]
fn securesystemslib_accepts_our_envelope_and_refuses_another_byte_or_key() {
    let folder = std::env::temp_dir().join(format!("independent-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let python = std::env::var_os("SALLYPORT_TEST_PYTHON").expect("SALLYPORT_TEST_PYTHON");
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
            // By its name alone another key would be refused unread.
            .arg(keys::key_id(good.verifying_key()).expect("an id"))
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
