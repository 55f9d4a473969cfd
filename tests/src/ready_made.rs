//! What a worker would have made, ready: an image, and what scanners and tests said.

use contract::digest::Digest;
use contract::image::Repository;
use evidence::oci;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode};

/// The pipeline of the main story, as `@REGISTRY@` holds its base images.
pub const PIPELINE: &str = r#"version: 1
on: { push: { branches: [main] } }
steps:
  style:
    analyze: { tools: [hadolint, gitleaks] }
  unit:
    run: { image: "@BASE@", command: ["true"] }
    reports: { junit: ["unit.xml"] }
  web:
    build: { dockerfile: Dockerfile, context: . }
    needs: [style, unit]
  contents:
    scan: { image: web }
  api:
    test:
      image: web
      ready: { http: "http://web:8080/healthz", within: 30s }
      probe: { image: "@BASE@", command: ["true"] }
    reports: { junit: ["api.xml"] }
"#;

/// Its Dockerfile.
pub const DOCKERFILE: &str = "FROM @BASE@\nCOPY shop.py /srv/shop.py\nUSER 65532:65532\nCMD [\"python3\", \"/srv/shop.py\"]\n";

/// The base image by digest, for the two above.
pub fn base(registry: &str) -> String {
    format!("{registry}/base/python@sha256:{}", "0".repeat(64))
}

/// The file that a worker uploads under this name; `None` when there is none of the kind.
pub fn report(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "sarif/hadolint.sarif" => HADOLINT.as_bytes(),
        "sarif/gitleaks.sarif" => NO_LEAKS.as_bytes(),
        "sbom/cyclonedx.json" => SBOM.as_bytes(),
        name if name.starts_with("junit/") => JUNIT.as_bytes(),
        _ => return None,
    })
}

/// One note, below every gate.
const HADOLINT: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"hadolint","version":"2.12.0"}},"results":[{"ruleId":"DL3009","level":"note","message":{"text":"Delete the apt lists"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"Dockerfile"},"region":{"startLine":2}}}]}]}]}"#;
const NO_LEAKS: &str =
    r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gitleaks"}},"results":[]}]}"#;
/// A package that advisories speak about, in a version that they do not.
const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"waitress","version":"3.0.2","purl":"pkg:pypi/waitress@3.0.2"}]}"#;
const JUNIT: &str =
    r#"<testsuite name="shop"><testcase name="sells"/><testcase name="refunds"/></testsuite>"#;

/// An image that a build would have made: manifest, configuration and one layer.
pub struct Image {
    manifest: Vec<u8>,
    blobs: [Vec<u8>; 2],
}

/// The registry did not take it.
#[derive(Debug)]
pub enum NotPushed {
    /// No answer.
    NoAnswer(reqwest::Error),
    /// Another answer than hoped for, to what.
    Status(&'static str, StatusCode),
}

impl From<reqwest::Error> for NotPushed {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error)
    }
}

/// As a worker reports it.
impl std::fmt::Display for NotPushed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer(_) => write!(f, "registry: no answer"),
            Self::Status(what, status) => write!(f, "registry: {what}: {status}"),
        }
    }
}

impl Image {
    /// The same one each time.
    pub fn ready_made() -> Self {
        let config =
            br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let layer = b"as good as a layer: nobody unpacks it in these stories";
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
            oci::IMAGE_MANIFEST,
            oci::IMAGE_CONFIG,
            Digest::of(config),
            config.len(),
            Digest::of(layer),
            layer.len(),
        );
        Self {
            manifest: manifest.into_bytes(),
            blobs: [config.to_vec(), layer.to_vec()],
        }
    }

    /// What it is.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Pushes it with a token for exactly this repository, as an engine does; again is nothing.
    pub async fn push(
        &self,
        http: &reqwest::Client,
        repository: &Repository,
        token: &str,
    ) -> Result<(), NotPushed> {
        let (registry, path) = (repository.registry(), repository.path());
        let base = format!("http://{registry}/v2/{path}");
        let send = async |what, method: Method, url: String, kind: &str, body: Vec<u8>, wanted| {
            let request = http.request(method, url).bearer_auth(token);
            let response = request.header(CONTENT_TYPE, kind).body(body).send().await?;
            if response.status() == wanted {
                Ok(response)
            } else {
                Err(NotPushed::Status(what, response.status()))
            }
        };
        let bytes = "application/octet-stream";
        for blob in &self.blobs {
            let url = format!("{base}/blobs/uploads/");
            let begun = send(
                "begin",
                Method::POST,
                url,
                bytes,
                Vec::new(),
                StatusCode::ACCEPTED,
            )
            .await?;
            let place = begun.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let place = place.ok_or(NotPushed::Status("begin", begun.status()))?;
            let place = match place.strip_prefix('/') {
                Some(path) => format!("http://{registry}/{path}"),
                None => place.to_owned(),
            };
            let mark = if place.contains('?') { '&' } else { '?' };
            let url = format!("{place}{mark}digest={}", Digest::of(blob));
            send(
                "upload",
                Method::PUT,
                url,
                bytes,
                blob.clone(),
                StatusCode::CREATED,
            )
            .await?;
        }
        let url = format!("{base}/manifests/{}", self.digest());
        let kind = oci::IMAGE_MANIFEST;
        let body = self.manifest.clone();
        send(
            "manifest",
            Method::PUT,
            url,
            kind,
            body,
            StatusCode::CREATED,
        )
        .await?;
        Ok(())
    }
}
