//! A stranger's verification of what was promoted: bytes by curl, signatures by openssl and securesystemslib.
//!
//! *Never*: code of the product. What it knows of formats is written out here once more, on purpose.

use crate::curl::Curl;
use crate::{program, venv};
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What registries are asked for.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// The payload type of in-toto statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";
const VERIFY_DSSE: &str = include_str!("verify-dsse.py");

/// One repository, read with a token.
pub(crate) struct Reader {
    base: String,
    curl: Curl,
}

impl Reader {
    /// `repository` is `host:port/path`.
    pub(crate) fn new(repository: &str, token: &str) -> Result<Self> {
        let (host, path) = repository
            .split_once('/')
            .context("a repository has a host")?;
        Ok(Self {
            base: format!("http://{host}/v2/{path}"),
            curl: Curl::with_bearer(token),
        })
    }

    /// A manifest's bytes; the answer says nothing about its digest that is believed.
    pub(crate) fn manifest(&self, reference: &str) -> Result<Vec<u8>> {
        let url = format!("{}/manifests/{reference}", self.base);
        Ok(self.curl.get_as(&url, MANIFESTS)?.expect_status(200)?.body)
    }

    /// A blob's bytes, hashed.
    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let bytes = self
            .curl
            .get(&format!("{}/blobs/{digest}", self.base))?
            .expect_status(200)?
            .body;
        ensure!(
            digest_of(&bytes) == digest,
            "{digest} is not what the registry gave"
        );
        Ok(bytes)
    }

    /// The tags there are.
    pub(crate) fn tags(&self) -> Result<Vec<String>> {
        let answer = self.curl.get(&format!("{}/tags/list", self.base))?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let list = answer.expect_status(200)?.json()?;
        let tags = list["tags"].as_array().cloned().unwrap_or_default();
        Ok(tags
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }
}

/// `sha256:<hex>` of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A folder for files that programs read, and the tools.
pub(crate) struct Bench {
    folder: PathBuf,
    python: PathBuf,
}

impl Bench {
    /// Makes the folder, and once a virtual environment with hash-pinned securesystemslib in the kept folder.
    pub(crate) fn prepare(folder: PathBuf, kept: &Path) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let python = venv::securesystemslib(kept)?;
        Ok(Self { folder, python })
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Whether openssl accepts a signature of `key` over these bytes.
    fn openssl_accepts(&self, key: &Path, signature: &[u8], bytes: &[u8]) -> Result<bool> {
        let signature = self.file("signature.der", signature)?;
        let bytes = self.file("signed.bin", bytes)?;
        let arguments = [
            "dgst".into(),
            "-sha256".into(),
            "-verify".into(),
            key.as_os_str().to_owned(),
            "-signature".into(),
            signature.into_os_string(),
            bytes.into_os_string(),
        ];
        Ok(program::succeeds("openssl", arguments))
    }

    /// The payload of an envelope that securesystemslib accepts; `None` when it refuses.
    /// The key goes by the id of `named`: one that is called otherwise is refused by its name, not by what it is.
    fn securesystemslib_accepts(
        &self,
        key: &Path,
        named: &Path,
        envelope: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let script = self.file("verify-dsse.py", VERIFY_DSSE.as_bytes())?;
        let envelope = self.file("envelope.json", envelope)?;
        let output = Command::new(&self.python)
            .arg(script)
            .arg(envelope)
            .arg(key)
            .arg(self.key_id(named)?)
            .output()
            .context("start python3")?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout)),
            Some(1) if output.stderr.starts_with(b"refused:") => Ok(None),
            _ => bail!(
                "securesystemslib: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// The first 16 hex of SHA-256 over the key's SubjectPublicKeyInfo, by openssl.
    fn key_id(&self, key: &Path) -> Result<String> {
        let der = self.folder.join("key.der");
        program::quiet(
            Command::new("openssl")
                .args(["pkey", "-pubin", "-outform", "DER", "-in"])
                .arg(key)
                .arg("-out")
                .arg(&der),
        )?;
        Ok(hex::encode(Sha256::digest(std::fs::read(der)?))[..16].to_owned())
    }

    /// A key that nobody here trusts.
    fn other_key(&self) -> Result<PathBuf> {
        let private = self.folder.join("other.key");
        let public = self.folder.join("other.pub");
        program::quiet(
            Command::new("openssl")
                .args([
                    "ecparam",
                    "-genkey",
                    "-name",
                    "prime256v1",
                    "-noout",
                    "-out",
                ])
                .arg(&private),
        )?;
        program::quiet(
            Command::new("openssl")
                .args(["ec", "-pubout", "-in"])
                .arg(&private)
                .arg("-out")
                .arg(&public),
        )?;
        Ok(public)
    }

    /// The image's signature in the cosign layout holds over its payload, which names exactly this digest and
    /// repository; it holds neither with a flipped byte nor under another key.
    pub(crate) fn image_signature(
        &self,
        reader: &Reader,
        repository: &str,
        digest: &str,
        key: &Path,
    ) -> Result<()> {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let manifest: Value = serde_json::from_slice(&reader.manifest(&tag)?)?;
        let layers = manifest["layers"]
            .as_array()
            .context("a signature manifest has layers")?;
        let mut for_this_repository = 0;
        for layer in layers {
            let payload = reader.blob(layer["digest"].as_str().context("a layer has a digest")?)?;
            let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str();
            let signature = STANDARD.decode(signature.context("a layer has a signature")?)?;
            ensure!(
                self.openssl_accepts(key, &signature, &payload)?,
                "openssl refuses the signature of {digest}"
            );
            ensure!(
                !self.openssl_accepts(key, &signature, &flipped(&payload))?,
                "a flipped byte was accepted"
            );
            ensure!(
                !self.openssl_accepts(&self.other_key()?, &signature, &payload)?,
                "another key was accepted"
            );
            let said: Value = serde_json::from_slice(&payload)?;
            ensure!(
                said["critical"]["image"]["docker-manifest-digest"] == digest,
                "the payload names another image"
            );
            if said["critical"]["identity"]["docker-reference"] == repository {
                for_this_repository += 1;
            }
        }
        ensure!(
            for_this_repository == 1,
            "{for_this_repository} signatures name {repository}, one is due"
        );
        Ok(())
    }

    /// One attached statement is provenance of exactly this digest under this key; flipped and under another key
    /// it is refused. Gives the predicate types of all that is attached.
    pub(crate) fn provenance(
        &self,
        reader: &Reader,
        digest: &str,
        key: &Path,
    ) -> Result<Vec<String>> {
        let index: Value = serde_json::from_slice(&reader.manifest(&digest.replace(':', "-"))?)?;
        let attached = index["manifests"]
            .as_array()
            .context("the referrers' index has manifests")?;
        let mut types = Vec::new();
        for descriptor in attached {
            let reference = descriptor["digest"]
                .as_str()
                .context("a descriptor has a digest")?;
            let bytes = reader.manifest(reference)?;
            ensure!(
                digest_of(&bytes) == reference,
                "{reference} is not what the registry gave"
            );
            let manifest: Value = serde_json::from_slice(&bytes)?;
            ensure!(
                manifest["artifactType"] == IN_TOTO,
                "{reference} is no in-toto statement"
            );
            ensure!(
                manifest["subject"]["digest"] == digest,
                "{reference} is attached to another image"
            );
            let layer = manifest["layers"][0]["digest"]
                .as_str()
                .context("an attestation has a layer")?;
            let envelope = reader.blob(layer)?;
            let payload = self
                .securesystemslib_accepts(key, key, &envelope)?
                .with_context(|| format!("securesystemslib refuses the statement {reference}"))?;
            let statement: Value = serde_json::from_slice(&payload)?;
            let is_subject = statement["subject"].as_array().is_some_and(|subjects| {
                subjects.iter().any(|subject| {
                    format!(
                        "sha256:{}",
                        subject["digest"]["sha256"].as_str().unwrap_or("")
                    ) == digest
                })
            });
            ensure!(
                is_subject,
                "the statement {reference} is about another image"
            );
            self.refuses_what_is_wrong(key, &envelope)?;
            types.extend(statement["predicateType"].as_str().map(str::to_owned));
        }
        for wanted in [
            "https://slsa.dev/provenance/v1",
            "https://cyclonedx.org/bom",
        ] {
            ensure!(
                types.iter().any(|name| name == wanted),
                "no {wanted} is attached to {digest}: {types:?}"
            );
        }
        Ok(types)
    }

    fn refuses_what_is_wrong(&self, key: &Path, envelope: &[u8]) -> Result<()> {
        let mut parsed: Value = serde_json::from_slice(envelope)?;
        let payload = STANDARD.decode(
            parsed["payload"]
                .as_str()
                .context("an envelope has a payload")?,
        )?;
        ensure!(
            self.securesystemslib_accepts(&self.other_key()?, key, envelope)?
                .is_none(),
            "another key was accepted"
        );
        parsed["payload"] = STANDARD.encode(flipped(&payload)).into();
        ensure!(
            self.securesystemslib_accepts(key, key, &serde_json::to_vec(&parsed)?)?
                .is_none(),
            "a flipped byte was accepted"
        );
        Ok(())
    }
}

/// The bytes with one bit of the middle one turned.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes
}
