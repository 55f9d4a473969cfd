//! The real signer process: what it signs it signs once, also when it is killed in between.

use contract::digest::Digest;
use contract::image::Repository;
use contract::name::Name;
use evidence::cosign::Payload;
use evidence::decision::Target;
use evidence::statement::Statement;
use evidence::{cosign, dsse, keys, names};
use orchestrator::config;
use orchestrator::signing::{
    Grounds, KeyRole, PassedRun, PublicKey, RefusalCode, SignerClient, SigningError,
};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MANIFEST: &[u8] = b"{\"an image's\":\"manifest\"}";
/// A debug build of the signer starts in well under a second.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A signer with its folder; killed with the value.
struct SignerProcess {
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for SignerProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn sallyport(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sallyport"));
    command
        .args(["--config", "signer.toml"])
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::null());
    command
}

impl SignerProcess {
    async fn start(server_uid: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "[signer]\nsocket = \"socket\"\ndata-dir = \"data\"\nserver-uid = {server_uid}\n\
             signatures-per-minute = 4\n[master-key]\nfile = \"master.key\"\n"
        );
        std::fs::write(folder.path().join("signer.toml"), text).expect("a configuration");
        let init = sallyport(folder.path(), &["signer", "init"]).status();
        assert!(init.expect("it starts").success());
        let child = sallyport(folder.path(), &["signer", "run"])
            .spawn()
            .expect("it starts");
        let process = Self { folder, child };
        process.answers().await;
        process
    }

    /// SIGKILL, then a new process on the same folder.
    async fn dies_and_returns(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it ends");
        self.child = sallyport(self.folder.path(), &["signer", "run"])
            .spawn()
            .expect("it starts");
        self.answers().await;
    }

    async fn answers(&self) {
        let until = Instant::now() + START_PATIENCE;
        let socket = self.folder.path().join("socket");
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            assert!(Instant::now() < until, "the signer does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn client(&self) -> SignerClient {
        self.client_that_expects(me())
    }

    fn client_that_expects(&self, uid: u32) -> SignerClient {
        SignerClient::new(&config::Signer {
            socket: self.folder.path().join("socket"),
            uid,
        })
    }
}

fn provenance() -> Vec<u8> {
    Statement::about(
        quarantine().as_str(),
        Digest::of(MANIFEST),
        names::SLSA_PROVENANCE,
        (),
    )
    .to_bytes()
    .expect("a statement")
}

fn quarantine() -> Repository {
    Repository::parse("127.0.0.1:5000/quarantine/shop/web").expect("a repository")
}

fn payload() -> Vec<u8> {
    Payload {
        repository: quarantine(),
        digest: Digest::of(MANIFEST),
    }
    .to_bytes()
}

fn passed() -> Grounds {
    let target = Target {
        repository: quarantine(),
        digest: Digest::of(MANIFEST),
    };
    Grounds::Run(PassedRun {
        project: "shop".to_owned(),
        run: "run".to_owned(),
        cause: "passed".to_owned(),
        images: BTreeMap::from([(Name::parse("web").expect("a name"), target)]),
    })
}

fn key(keys: &[PublicKey], role: KeyRole) -> VerifyingKey {
    let key = keys.iter().find(|key| key.role == role).expect("a key");
    keys::from_pem(&key.pem).expect("a public key")
}

fn code<T>(result: Result<T, SigningError>) -> Option<RefusalCode> {
    match result {
        Err(SigningError::Refused(refusal)) => Some(refusal.code),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test]
async fn a_signature_survives_the_signers_death_and_is_never_another() {
    let mut signer = SignerProcess::start(me()).await;
    let client = signer.client();
    let keys = client.keys().await.expect("keys");
    let before = client
        .sign_image("image", &payload(), MANIFEST, passed())
        .await;
    assert_eq!(code(before), Some(RefusalCode::NoProvenance));

    let statement = provenance();
    let signed = client.sign_statement("statement", &statement, MANIFEST);
    let signed = signed.await.expect("a signature");
    let der = DerSignature::try_from(signed.signature.as_slice()).expect("DER");
    key(&keys, KeyRole::Provenance)
        .verify(&dsse::pae(names::IN_TOTO, &statement), &der)
        .expect("the provenance key's signature");

    signer.dies_and_returns().await;
    assert_eq!(client.keys().await.expect("keys"), keys);
    let again = client.sign_statement("statement", &statement, MANIFEST);
    assert_eq!(again.await.expect("a signature"), signed);
    let image = client
        .sign_image("image", &payload(), MANIFEST, passed())
        .await;
    let image = image.expect("provenance is remembered");
    signer.dies_and_returns().await;
    let again = client
        .sign_image("image", &payload(), MANIFEST, passed())
        .await;
    assert_eq!(again.expect("a signature"), image);
    let release = key(&keys, KeyRole::Release);
    assert!(cosign::verify(&payload(), &image.signature, &release).is_ok());

    let other = client.sign_statement("image", &statement, MANIFEST).await;
    assert_eq!(code(other), Some(RefusalCode::IdReused));
}

#[tokio::test]
async fn too_many_signatures_in_a_minute_are_refused_and_repeats_are_not() {
    let signer = SignerProcess::start(me()).await;
    let client = signer.client();
    for id in ["1", "2", "3", "4"] {
        let signed = client.sign_statement(id, &provenance(), MANIFEST).await;
        signed.expect("a signature");
    }
    let fifth = client.sign_statement("5", &provenance(), MANIFEST).await;
    assert!(fifth.as_ref().is_err_and(SigningError::is_transient));
    assert_eq!(code(fifth), Some(RefusalCode::TooFast));
    let repeat = client.sign_statement("1", &provenance(), MANIFEST).await;
    repeat.expect("the same signature again");
}

#[tokio::test]
async fn both_ends_look_who_the_other_is() {
    let signer = SignerProcess::start(me() + 1).await;
    let unknown = signer.client().keys().await;
    assert!(
        matches!(unknown, Err(SigningError::Unreachable { .. })),
        "the signer hangs up on another uid"
    );
    let stranger = signer.client_that_expects(me() + 1).keys().await;
    let error = stranger.expect_err("another uid listens").to_string();
    assert!(error.contains("[signer] uid"), "{error}");
}
