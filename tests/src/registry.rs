//! A real registry (Debian's docker-registry) that believes the tokens of one instance, and what lies
//! in it when a story is over.

use crate::house::House;
use anyhow::{Context as _, bail, ensure};
use contract::digest::Digest;
use evidence::{cosign, names, oci};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It listens within a second.
const START: Duration = Duration::from_secs(20);
/// Folders below each other in the registry's storage.
const DEPTH_MAX: usize = 12;

/// A running registry; killed with the value.
pub struct Registry {
    child: Child,
    port: u16,
    file: PathBuf,
    storage: PathBuf,
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Registry {
    /// Starts one at the port by which the house names its registry.
    pub fn start(house: &House) -> anyhow::Result<Self> {
        Self::start_at(house, house.ports.registry)
    }

    /// Starts one at another port: something stands between it and its name.
    pub fn start_at(house: &House, port: u16) -> anyhow::Result<Self> {
        let folder = house.folder.path().join("registry");
        std::fs::create_dir_all(&folder)?;
        let (file, storage) = (folder.join("registry.yml"), folder.join("storage"));
        let text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage:\n  filesystem: {{ rootdirectory: \"{}\" }}\n  delete: {{ enabled: true }}\n\
             http: {{ addr: \"127.0.0.1:{port}\", secret: \"one instance, so nothing to share\" }}\n\
             auth:\n  token:\n    realm: \"{}/registry/token\"\n    issuer: \"{}\"\n    service: \"{}\"\n    rootcertbundle: \"{}\"\n",
            storage.display(),
            house.ports.public_url(),
            house.instance,
            house.ports.registry_name(),
            house.token_certificate().display(),
        );
        std::fs::write(&file, text)?;
        let child = spawn(&file)?;
        let mut this = Self {
            child,
            port,
            file,
            storage,
        };
        this.wait_until_it_listens()?;
        Ok(this)
    }

    /// Ends it as a crash would.
    pub fn goes(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// One that is stopped takes connections and answers none, until it goes on.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?;
        Ok(())
    }

    /// Starts it again on what it holds.
    pub fn returns(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.file)?;
        self.wait_until_it_listens()
    }

    /// Forgets everything that it holds. It keeps nothing in memory that would outlive this.
    pub fn empty(&self) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(&self.storage) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Holds what lies in another one's storage, and nothing else.
    pub fn holds_as(&self, storage: &Path) -> anyhow::Result<()> {
        self.empty()?;
        let copied = Command::new("cp")
            .arg("-a")
            .arg(storage)
            .arg(&self.storage)
            .status()?;
        ensure!(copied.success(), "cp: {copied}");
        Ok(())
    }

    /// What it holds now.
    pub fn holds(&self) -> anyhow::Result<Holdings> {
        Holdings::read(&self.storage)
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the registry ended: {status}");
            }
            ensure!(Instant::now() < until, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn spawn(file: &Path) -> anyhow::Result<Child> {
    Command::new("docker-registry")
        .arg("serve")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(file.with_extension("log"))?)
        .spawn()
        .context("start docker-registry (apt-get install docker-registry)")
}

/// Everything in a registry: read from its storage, so that nothing is there that is not seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// `<repository>:<tag>` and the digest that it names.
    pub tags: BTreeMap<String, Digest>,
    /// `<repository>@<digest>` of every manifest, with its bytes.
    pub manifests: BTreeMap<String, Vec<u8>>,
    storage: PathBuf,
}

impl Holdings {
    fn read(storage: &Path) -> anyhow::Result<Self> {
        let mut this = Self {
            storage: storage.to_owned(),
            ..Self::default()
        };
        let root = storage.join("docker/registry/v2/repositories");
        let mut folders = vec![(0, root.clone())];
        while let Some((depth, folder)) = folders.pop() {
            ensure!(depth < DEPTH_MAX, "{} is too deep", folder.display());
            let manifests = folder.join("_manifests");
            if manifests.is_dir() {
                let name = folder.strip_prefix(&root)?.display().to_string();
                this.read_repository(&name, &manifests)?;
            }
            for child in names_in(&folder)? {
                if !child.starts_with('_') {
                    folders.push((depth + 1, folder.join(child)));
                }
            }
        }
        Ok(this)
    }

    fn read_repository(&mut self, name: &str, manifests: &Path) -> anyhow::Result<()> {
        for tag in names_in(&manifests.join("tags"))? {
            let link = manifests.join("tags").join(&tag).join("current/link");
            let digest = Digest::parse(std::fs::read_to_string(&link)?.trim())?;
            self.tags.insert(format!("{name}:{tag}"), digest);
        }
        for hex in names_in(&manifests.join("revisions/sha256"))? {
            let digest = Digest::parse_hex(&hex)?;
            let bytes = self.blob(&digest)?;
            self.manifests.insert(format!("{name}@{digest}"), bytes);
        }
        Ok(())
    }

    fn blob(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        let hex = digest.hex();
        let path = self.storage.join("docker/registry/v2/blobs/sha256");
        let path = path.join(&hex[..2]).join(&hex).join("data");
        std::fs::read(&path).with_context(|| format!("the registry lost {digest}"))
    }

    /// One line a thing, free of what differs from run to run: what an attestation says is compared
    /// without ids and times, and the indexes that name attestations by what they name.
    pub fn lines(&self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for (tag, digest) in &self.tags {
            let (repository, _) = tag.rsplit_once(':').context("a tag")?;
            let what = self.manifest(repository, digest)?;
            lines.push(format!("{tag} -> {}", self.named(what)?));
        }
        for (name, bytes) in &self.manifests {
            let (repository, _) = name.split_once('@').context("a manifest")?;
            lines.push(format!("{repository} holds {}", self.named(bytes)?));
        }
        lines.sort();
        Ok(lines)
    }

    /// How many signatures an image has under a reference.
    pub fn signatures(&self, repository: &str, image: &Digest) -> anyhow::Result<usize> {
        let tag = format!("{repository}:{}", cosign::signature_tag(image));
        let Some(digest) = self.tags.get(&tag) else {
            return Ok(0);
        };
        let manifest: Value = serde_json::from_slice(self.manifest(repository, digest)?)?;
        Ok(manifest["layers"].as_array().map_or(0, Vec::len))
    }

    fn manifest(&self, repository: &str, digest: &Digest) -> anyhow::Result<&[u8]> {
        let name = format!("{repository}@{digest}");
        let found = self.manifests.get(&name).map(Vec::as_slice);
        found.with_context(|| format!("{name} is not there"))
    }

    /// A manifest by what is the same in each run: the digest, or what it says.
    fn named(&self, bytes: &[u8]) -> anyhow::Result<String> {
        let manifest: Value = serde_json::from_slice(bytes)?;
        if manifest["mediaType"] == oci::IMAGE_INDEX {
            let mut named = Vec::new();
            for referrer in oci::referrers(bytes)? {
                named.push(self.named(&self.blob(&referrer.digest)?)?);
            }
            named.sort();
            return Ok(format!("index of [{}]", named.join(", ")));
        }
        if manifest["artifactType"] != names::IN_TOTO {
            return Ok(Digest::of(bytes).to_string());
        }
        let layer = manifest["layers"][0]["digest"].as_str().unwrap_or("");
        let envelope: Value = serde_json::from_slice(&self.blob(&Digest::parse(layer)?)?)?;
        let payload = envelope["payload"].as_str().unwrap_or("");
        let payload = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, payload)?;
        let said = scrubbed(&String::from_utf8(payload)?)?;
        let subject = &manifest["subject"]["digest"];
        Ok(format!("attestation of {subject}: {said}"))
    }
}

fn names_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// A text without what is another one in each run: ids, times, and digests over these. The digests
/// of what is the same in each run are compared where they stand by themselves.
pub fn scrubbed(text: &str) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (pattern, by) in [
        (
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "<id>",
        ),
        (
            "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\\.[0-9]+)?Z",
            "<time>",
        ),
        ("\\b1[0-9]{15}\\b", "<time>"),
        ("\"fence\":[0-9]+", "\"fence\":<n>"),
        ("\"[0-9]+ (s|min|h|d) ago\"", "\"<age>\""),
    ] {
        text = Regex::new(pattern)?.replace_all(&text, by).into_owned();
    }
    Ok(text)
}
