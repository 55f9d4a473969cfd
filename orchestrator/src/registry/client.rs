//! The distribution API (OCI Distribution Specification 1.1), as far as it is needed here.

use super::error::RegistryError;
use super::token::{Access, Issuer, TOKEN_LIFETIME};
use crate::config;
use crate::ground::Ground;
use crate::kill::outside;
use crate::metrics::metrics;
use contract::digest::Digest;
use contract::image::Repository;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

/// The largest manifest that the specification asks registries to take.
pub(super) const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A registry that does not answer a connection within this is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A manifest, or a question, takes no longer as a whole: a registry that sends a byte now and then must
/// not hold up everything behind it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A blob with everything in it: a layer of 1 GiB at 2 MiB/s.
const BLOB_TIMEOUT: Duration = Duration::from_secs(600);
/// What registries say of the digest of what they give; not believed, and not to be contradicted.
const DIGEST_HEADER: &str = "docker-content-digest";

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A tag: 1 to 128 characters as the specification has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// Parses a tag.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let good = (1..=128).contains(&bytes.len())
            && bytes.first().is_some_and(word)
            && bytes.iter().all(|b| word(b) || *b == b'.' || *b == b'-');
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A manifest as the registry gave it; `digest` is of the bytes, by us.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub digest: Digest,
    /// The media type.
    pub media_type: String,
}

/// One registry, with the right to everything in it: each request carries a token of its own for
/// exactly its repository. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    http: reqwest::Client,
    scheme: &'static str,
    name: String,
    issuer: Arc<Issuer>,
    ground: Ground,
    /// Held while a referrers' index is read, extended and written.
    pub(super) referrers: Arc<tokio::sync::Mutex<()>>,
}

impl Registry {
    /// Sets up the client; nothing is asked yet.
    pub fn new(
        config: &config::Registry,
        issuer: Arc<Issuer>,
        ground: Ground,
    ) -> Result<Self, RegistryError> {
        let setup = |problem: String| RegistryError::Setup(problem);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(Duration::from_secs(config.timeout_secs))
            .timeout(REQUEST_TIMEOUT)
            // A registry could send us anywhere, with a token in hand.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &config.ca_file {
            let pem =
                std::fs::read(path).map_err(|e| setup(format!("read {}: {e}", path.display())))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|e| setup(format!("{}: {e}", path.display())))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            http: builder.build().map_err(|e| setup(e.to_string()))?,
            scheme: if config.plain_http { "http" } else { "https" },
            name: config.name.clone(),
            issuer,
            ground,
            referrers: Arc::default(),
        })
    }

    /// `host[:port]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token issuer.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The manifest of this digest; its bytes are hashed here, and others are refused.
    pub async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Manifest>, RegistryError> {
        let Some(manifest) = self.manifest_at(repository, &digest.to_string()).await? else {
            return Ok(None);
        };
        if manifest.digest != *digest {
            let what = format!("manifest in {repository}");
            return Err(RegistryError::Mismatch {
                what,
                wanted: *digest,
                got: manifest.digest,
            });
        }
        Ok(Some(manifest))
    }

    /// The manifest that a tag names now.
    pub async fn manifest_of_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Manifest>, RegistryError> {
        self.manifest_at(repository, tag.as_str()).await
    }

    /// Stores a manifest under its digest, or under a tag; storing the same again is nothing.
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        tag: Option<&Tag>,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let reference = tag.map_or_else(|| digest.to_string(), |tag| tag.as_str().to_owned());
        let what = format!("{repository} {reference}");
        let request = self
            .request(
                Method::PUT,
                repository,
                &format!("manifests/{reference}"),
                &[Access::push(repository.path())],
            )
            .header(header::CONTENT_TYPE, media_type)
            .body(bytes.to_vec());
        let call = outside(
            "registry.put-manifest",
            self.send("put manifest", &what, request),
        );
        self.want(call.await?, "put manifest", &what, StatusCode::CREATED)?;
        Ok(digest)
    }

    /// Whether a repository holds a blob.
    pub async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        Ok(self.blob_length(repository, digest).await?.is_some())
    }

    /// How long a blob is by the registry's word (0 when it does not say); none when it has none such.
    pub(super) async fn blob_length(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>, RegistryError> {
        let what = format!("{repository} {digest}");
        let access = [Access::pull(repository.path())];
        let request = self.request(
            Method::HEAD,
            repository,
            &format!("blobs/{digest}"),
            &access,
        );
        let response = self.send("look for blob", &what, request).await?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|v| v.to_str().ok()?.parse().ok());
        match response.status() {
            StatusCode::OK => Ok(Some(length.unwrap_or(0))),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(status("look for blob", &what, other)),
        }
    }

    /// A blob of at most `limit` bytes, hashed here.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let what = format!("blob {digest} in {repository}");
        let access = [Access::pull(repository.path())];
        let request = self
            .request(Method::GET, repository, &format!("blobs/{digest}"), &access)
            .timeout(BLOB_TIMEOUT);
        let response = self.send("get", &what, request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.want_ref(&response, "get", &what, StatusCode::OK)?;
        let bytes = self.body("get", &what, response, limit).await?;
        let got = Digest::of(&bytes);
        if got != *digest {
            return Err(RegistryError::Mismatch {
                what,
                wanted: *digest,
                got,
            });
        }
        Ok(Some(bytes))
    }

    /// Stores a small blob; one that is there already is left alone.
    pub async fn put_blob(
        &self,
        repository: &Repository,
        bytes: Vec<u8>,
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(&bytes);
        if self.has_blob(repository, &digest).await? {
            return Ok(digest);
        }
        let what = format!("{repository} {digest}");
        let access = [Access::push(repository.path())];
        let request = self.request(Method::POST, repository, "blobs/uploads/", &access);
        let started = self.send("start upload", &what, request).await?;
        self.want_ref(&started, "start upload", &what, StatusCode::ACCEPTED)?;
        let url = self.upload_url(&started, &what)?;
        let request = self
            .http
            .put(format!(
                "{url}{}digest={digest}",
                if url.contains('?') { '&' } else { '?' }
            ))
            .bearer_auth(self.token(&access))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .timeout(BLOB_TIMEOUT)
            .body(bytes);
        let call = outside("registry.put-blob", self.send("put blob", &what, request));
        self.want(call.await?, "put blob", &what, StatusCode::CREATED)?;
        Ok(digest)
    }

    /// Makes a blob of `from` also one of `to`, without moving bytes; false when the registry would
    /// rather have them sent.
    pub async fn mount_blob(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        if self.has_blob(to, digest).await? {
            return Ok(true);
        }
        let what = format!("{digest} from {from} to {to}");
        let access = [Access::push(to.path()), Access::pull(from.path())];
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.path());
        let request = self.request(Method::POST, to, &path, &access);
        let call = outside(
            "registry.mount-blob",
            self.send("mount blob", &what, request),
        );
        match call.await?.status() {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => Ok(false),
            other => Err(status("mount blob", &what, other)),
        }
    }

    /// Whether the registry would let a right to push to `held` also write into `other`: then its
    /// tokens are worth nothing. An upload that it lets begin is given up at once.
    pub async fn lets_write(
        &self,
        held: &Repository,
        other: &Repository,
    ) -> Result<bool, RegistryError> {
        const OPERATION: &str = "try another's right";
        let what = other.to_string();
        let access = [Access::push(held.path())];
        let request = self.request(Method::POST, other, "blobs/uploads/", &access);
        let call = outside("registry.try-write", self.send(OPERATION, &what, request));
        let response = call.await?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
            StatusCode::ACCEPTED => {
                if let Ok(url) = self.upload_url(&response, &what) {
                    let token = self.token(&[Access::push(other.path())]);
                    let given_up = self.http.delete(url).bearer_auth(token);
                    // What stays behind is an empty upload, which the registry sweeps.
                    drop(self.send(OPERATION, &what, given_up).await);
                }
                Ok(true)
            }
            other => Err(status(OPERATION, &what, other)),
        }
    }

    async fn manifest_at(
        &self,
        repository: &Repository,
        reference: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        let what = format!("manifest {reference} in {repository}");
        let access = [Access::pull(repository.path())];
        let request = self
            .request(
                Method::GET,
                repository,
                &format!("manifests/{reference}"),
                &access,
            )
            .header(header::ACCEPT, ACCEPT);
        let response = self.send("get", &what, request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.want_ref(&response, "get", &what, StatusCode::OK)?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let said = response.headers().get(DIGEST_HEADER);
        let said = said.and_then(|v| v.to_str().ok());
        let said = said.and_then(|text| Digest::parse(text).ok());
        let bytes = self
            .body("get", &what, response, MANIFEST_BYTES_MAX)
            .await?;
        let digest = Digest::of(&bytes);
        // Other clients believe this header: an image that goes by two digests is none for us.
        if let Some(said) = said.filter(|said| *said != digest) {
            return Err(RegistryError::Mismatch {
                what: format!("{what} by its header"),
                wanted: said,
                got: digest,
            });
        }
        Ok(Some(Manifest {
            digest,
            bytes,
            media_type,
        }))
    }

    fn request(
        &self,
        method: Method,
        repository: &Repository,
        path: &str,
        access: &[Access],
    ) -> RequestBuilder {
        let url = format!(
            "{}://{}/v2/{}/{path}",
            self.scheme,
            self.name,
            repository.path()
        );
        self.http
            .request(method, url)
            .bearer_auth(self.token(access))
    }

    fn token(&self, access: &[Access]) -> String {
        let ground = &self.ground;
        self.issuer.issue(
            ground.now(),
            &*ground.ids,
            "orchestrator",
            access,
            TOKEN_LIFETIME,
        )
    }

    async fn send(
        &self,
        operation: &'static str,
        what: &str,
        request: RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let unreachable = |source: reqwest::Error| RegistryError::Unreachable {
            operation,
            what: what.to_owned(),
            // Its address may hold an upload's state: not for logs.
            source: source.without_url(),
        };
        let sent = request.send().await;
        let outcome = match &sent {
            Ok(response) if response.status().is_server_error() => "failed",
            Ok(_) => "answered",
            Err(_) => "unreachable",
        };
        metrics().registry_call(operation, outcome);
        sent.map_err(unreachable)
    }

    async fn body(
        &self,
        operation: &'static str,
        what: &str,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|source| RegistryError::Unreachable {
                    operation,
                    what: what.to_owned(),
                    source: source.without_url(),
                })?;
            let Some(chunk) = chunk else { return Ok(bytes) };
            if bytes.len() + chunk.len() > limit {
                return Err(RegistryError::TooLarge {
                    what: what.to_owned(),
                    limit,
                });
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Where an upload goes on: only ever at the registry itself.
    fn upload_url(&self, response: &Response, what: &str) -> Result<String, RegistryError> {
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|v| v.to_str().ok());
        let base = format!("{}://{}", self.scheme, self.name);
        match location {
            Some(path) if path.starts_with("/v2/") => Ok(format!("{base}{path}")),
            Some(url) if url.starts_with(&format!("{base}/v2/")) => Ok(url.to_owned()),
            _ => Err(RegistryError::Setup(format!(
                "upload of {what} was sent to another place"
            ))),
        }
    }

    fn want(
        &self,
        response: Response,
        operation: &'static str,
        what: &str,
        wanted: StatusCode,
    ) -> Result<(), RegistryError> {
        self.want_ref(&response, operation, what, wanted)
    }

    fn want_ref(
        &self,
        response: &Response,
        operation: &'static str,
        what: &str,
        wanted: StatusCode,
    ) -> Result<(), RegistryError> {
        if response.status() == wanted {
            return Ok(());
        }
        Err(status(operation, what, response.status()))
    }
}

fn status(operation: &'static str, what: &str, status: StatusCode) -> RegistryError {
    RegistryError::Status {
        operation,
        what: what.to_owned(),
        status: status.as_u16(),
    }
}
