//! Small images for stories with a real engine, and the registry that holds them: one static program,
//! compiled here, alone in its file system.

use anyhow::{Context as _, bail, ensure};
use contract::digest::Digest;
use serde_json::json;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A registry answers within this, also one that starts.
const PATIENCE: Duration = Duration::from_secs(20);
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry at the one address that the engine reaches; it lets everybody do everything.
pub struct Registry {
    /// `127.0.0.1:<port>`.
    pub address: String,
    child: Child,
    folder: tempfile::TempDir,
}

/// An image as a story wants it.
#[derive(Default)]
pub struct Wish<'a> {
    /// Where the program lies: `/steps`.
    pub program: &'a str,
    /// VOLUME.
    pub volumes: &'a [&'a str],
    /// ONBUILD.
    pub on_build: &'a [&'a str],
    /// Makes this image another one than all others.
    pub only_here: &'a str,
}

/// The program and nothing else.
pub const STEPS: Wish<'static> = Wish {
    program: "/steps",
    volumes: &[],
    on_build: &[],
    only_here: "",
};

impl Registry {
    /// Starts it and compiles the program.
    pub async fn start(address: &str) -> anyhow::Result<Self> {
        Self::start_on(address, None).await
    }

    /// The same; what it holds lies on a disk of so many bytes, which is its own alone and goes with it.
    pub async fn start_on_a_disk(address: &str, bytes: u64) -> anyhow::Result<Self> {
        Self::start_on(address, Some(bytes)).await
    }

    async fn start_on(address: &str, disk_bytes: Option<u64>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let text = format!(
            "version: 0.1\nlog: {{ level: warn }}\n\
             storage:\n  filesystem: {{ rootdirectory: \"{}/data\" }}\n\
             http: {{ addr: \"{address}\", secret: \"one\" }}\n",
            folder.path().display()
        );
        let file = folder.path().join("registry.yml");
        std::fs::write(&file, text)?;
        std::fs::create_dir(folder.path().join("data"))?;
        let mut command = match disk_bytes {
            None => Command::new("docker-registry"),
            Some(bytes) => on_a_disk(&folder.path().join("data"), bytes),
        };
        let this = Self {
            address: address.to_owned(),
            child: serve(&mut command, &file)?,
            folder,
        };
        this.until_it_answers().await?;
        compile(&this.program())?;
        Ok(this)
    }

    /// Starts it again on what it holds.
    pub async fn returns(&mut self) -> anyhow::Result<()> {
        let file = self.folder.path().join("registry.yml");
        self.child = serve(&mut Command::new("docker-registry"), &file)?;
        self.until_it_answers().await
    }

    async fn until_it_answers(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(&self.address).is_err() {
            ensure!(Instant::now() < until, "the registry does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends it; what it holds stays.
    pub fn goes(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The number of its process.
    pub fn pid(&self) -> anyhow::Result<nix::unistd::Pid> {
        Ok(nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// The folder of what it holds, laid out as every docker-registry does.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes all the room that its disk has left, or gives it back.
    pub fn is_full(&self, full: bool) -> anyhow::Result<()> {
        // Only its process sees the disk.
        let own = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        let filler = self.storage().join("filler");
        let filler = own.join(filler.strip_prefix("/")?);
        if !full {
            return Ok(std::fs::remove_file(filler)?);
        }
        let filled = std::io::copy(&mut std::io::repeat(1), &mut std::fs::File::create(filler)?);
        let error = filled.err().context("a disk without end")?;
        ensure!(error.kind() == ErrorKind::StorageFull, "{error}");
        Ok(())
    }

    /// Makes an image and pushes it; `<registry>/<name>@<digest>`.
    pub async fn push(&self, name: &str, wish: &Wish<'_>) -> anyhow::Result<String> {
        let layer = layer(&self.program(), wish)?;
        let volumes: serde_json::Map<_, _> = wish
            .volumes
            .iter()
            .map(|path| ((*path).to_owned(), json!({})))
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {
                "Env": [format!("ONLY_HERE={}", wish.only_here)],
                "Volumes": volumes, "OnBuild": wish.on_build,
            },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let described = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(CONFIG, &config), "layers": [described(LAYER, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Digest::of(&manifest);
        for blob in [layer, config] {
            self.put_blob(name, blob).await?;
        }
        let url = format!("http://{}/v2/{name}/manifests/{digest}", self.address);
        let http = client()?;
        let request = http.put(url).header("content-type", MANIFEST);
        let response = request.body(manifest).send().await?;
        ensure!(response.status() == 201, "put manifest: {response:?}");
        Ok(format!("{}/{name}@{digest}", self.address))
    }

    async fn put_blob(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let http = client()?;
        let url = format!("http://{}/v2/{name}/blobs/uploads/", self.address);
        let begun = http.post(url).send().await?;
        let at = begun.headers().get("location").context("an upload")?;
        let at = format!("{}&digest={}", at.to_str()?, Digest::of(&bytes));
        let response = http.put(at).body(bytes).send().await?;
        ensure!(response.status() == 201, "put blob: {response:?}");
        Ok(())
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("steps")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The registry with a file system of its own over this folder.
fn on_a_disk(folder: &Path, bytes: u64) -> Command {
    let script =
        format!("mount -t tmpfs -o size={bytes} tmpfs \"$0\" && exec docker-registry \"$@\"");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(folder);
    command
}

fn serve(registry: &mut Command, file: &Path) -> anyhow::Result<Child> {
    registry
        .arg("serve")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start docker-registry")
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(PATIENCE).build()?)
}

fn compile(into: &Path) -> anyhow::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/steps.rs");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
        .args(["-C", "opt-level=1", "-C", "strip=symbols", "-o"])
        .args([into, &source])
        .output()
        .context("start rustc")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn layer(program: &Path, wish: &Wish<'_>) -> anyhow::Result<Vec<u8>> {
    let mut out = tar::Builder::new(Vec::new());
    for folder in ["tmp", "work", "scratch", "data", "usr", "usr/bin"] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        out.append_data(&mut header, folder, std::io::empty())?;
    }
    let bytes = std::fs::read(program)?;
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    let path = wish.program.trim_start_matches('/');
    out.append_data(&mut header, path, bytes.as_slice())?;
    Ok(out.into_inner()?)
}
