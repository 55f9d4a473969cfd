//! `sallyport-verify` from outside: its answers and exit codes.

use contract::digest::Digest;
use contract::image::Repository;
use evidence::{cosign, dsse, keys, names, statement};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use std::path::PathBuf;
use std::process::Command;

/// A folder with a key, an envelope and a payload; gone with the value.
struct Files {
    folder: PathBuf,
    signature: String,
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Files {
    fn make(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("verify-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).expect("a file");
        };
        let key = SigningKey::from_slice(&[4; 32]).expect("a key");
        let other = SigningKey::from_slice(&[5; 32]).expect("a key");
        for (name, key) in [("key.pub", &key), ("other.pub", &other)] {
            let pem = keys::to_pem(key.verifying_key()).expect("a PEM");
            write(name, pem.as_bytes());
        }
        let bytes = statement::sbom("shop/web", image(), b"{}").expect("a statement");
        let envelope = dsse::sign(names::IN_TOTO, &bytes, &key).expect("an envelope");
        write("envelope", &serde_json::to_vec(&envelope).expect("JSON"));
        let payload = cosign::Payload {
            repository: Repository::parse("r.example/shop/web").expect("a repository"),
            digest: image(),
        };
        write("payload", &payload.to_bytes());
        let signature: DerSignature = key.sign(&payload.to_bytes());
        let signature = base64(signature.as_bytes());
        Self { folder, signature }
    }

    /// Exit code and what was complained of.
    fn verify(&self, words: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_sallyport-verify"))
            .current_dir(&self.folder)
            .args(words)
            .output()
            .expect("it starts");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("it exits"), complaint)
    }
}

fn image() -> Digest {
    Digest::of(b"image")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn an_attestation_holds_for_its_key_digest_and_type_only() {
    let files = Files::make("attestation");
    let (digest, other) = (image().to_string(), Digest::of(b"other").to_string());
    let verify = |key: &str, digest: &str, kind: &str, file: &str| {
        files.verify(&[
            "attestation",
            "--key",
            key,
            "--digest",
            digest,
            "--predicate-type",
            kind,
            file,
        ])
    };
    let sbom = names::CYCLONEDX;
    assert_eq!(verify("key.pub", &digest, sbom, "envelope").0, 0);
    let cases = [
        (
            verify("other.pub", &digest, sbom, "envelope"),
            1,
            "no signature",
        ),
        (
            verify("key.pub", &other, sbom, "envelope"),
            1,
            "another subject",
        ),
        (
            verify("key.pub", &digest, names::SLSA_PROVENANCE, "envelope"),
            1,
            "of type",
        ),
        (
            verify("key.pub", &digest, sbom, "payload"),
            1,
            "not a DSSE envelope",
        ),
        (verify("key.pub", &digest, sbom, "nowhere"), 3, "nowhere"),
        (
            verify("key.pub", "sha512:00", sbom, "envelope"),
            2,
            "sha512",
        ),
    ];
    for ((code, complaint), wanted, word) in cases {
        assert_eq!(code, wanted, "{complaint}");
        assert!(complaint.contains(word), "{complaint}");
    }
}

#[test]
fn an_image_signature_holds_for_its_key_digest_and_repository_only() {
    let files = Files::make("image");
    let (digest, other) = (image().to_string(), Digest::of(b"other").to_string());
    let verify = |key: &str, digest: &str, repository: &str| {
        files.verify(&[
            "image",
            "--key",
            key,
            "--digest",
            digest,
            "--repository",
            repository,
            "--signature",
            &files.signature,
            "payload",
        ])
    };
    assert_eq!(verify("key.pub", &digest, "r.example/shop/web").0, 0);
    for (code, complaint) in [
        verify("other.pub", &digest, "r.example/shop/web"),
        verify("key.pub", &other, "r.example/shop/web"),
        verify("key.pub", &digest, "r.example/prod/web"),
    ] {
        assert_eq!(code, 1, "{complaint}");
    }
}
