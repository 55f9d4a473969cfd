//! The requests of the worker protocol, one function each. None repeats: who repeats, and until
//! when, is decided by the caller (`agent`, `lease`).

use super::call::{self, CallError, Said};
use super::pin::{self, TlsError};
use crate::config::EntranceUrl;
use crate::identity::Identity;
use crate::spool::Chunk;
use contract::digest::Digest;
use contract::protocol::{
    ArtifactClaim, CLAIM_WAIT_MS_MAX, Claim, Enrol, Enrolled, Heartbeat, HeartbeatAnswer, Hello,
    LogAnswer, PROTOCOL_VERSION, RegistryToken, RegistryTokenRequest, Source,
};
use futures::StreamExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A connection is there quickly or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An ordinary request; the orchestrator answers after one durable write.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// What a claim may take beyond the wait that it asked for.
const CLAIM_SLACK: Duration = Duration::from_secs(15);
/// 64 MiB over a slow line.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(300);

/// The worker entrance, spoken to as an enrolled worker.
#[derive(Clone)]
pub struct ControlPlane {
    http: reqwest::Client,
    entrance: EntranceUrl,
}

impl ControlPlane {
    /// Trades a token and a signing request for a certificate. The pin decides who is believed,
    /// and the CA in the answer must be the pinned one as well.
    pub async fn enrol(
        entrance: &EntranceUrl,
        pin: Digest,
        enrol: &Enrol,
    ) -> Result<Said<Enrolled>, EnrolError> {
        let http = client(pin::pinned(pin)?).map_err(|source| CallError::Transport {
            what: "enrol",
            source,
        })?;
        let request = http
            .post(entrance.join("/worker/v1/enrol"))
            .timeout(CALL_TIMEOUT)
            .json(enrol);
        let said = call::ask::<Enrolled>("enrol", request).await?;
        if let Said::Granted(enrolled) = &said {
            let ca = CertificateDer::from_pem_slice(enrolled.ca.as_bytes());
            if !ca.is_ok_and(|ca| pin::is_pinned(&ca, pin)) {
                return Err(TlsError::OtherCa.into());
            }
        }
        Ok(said)
    }

    /// Speaks as this worker from now on.
    pub fn connect(entrance: EntranceUrl, identity: &Identity) -> Result<Self, EnrolError> {
        let key = identity
            .private_key()
            .map_err(|error| rustls::Error::General(error.to_string()))
            .map_err(TlsError::from)?;
        let tls = pin::mutual(&identity.ca, identity.certificate.clone(), key)?;
        let http = client(tls).map_err(|source| CallError::Transport {
            what: "prepare TLS",
            source,
        })?;
        Ok(Self { http, entrance })
    }

    /// Says what this worker is, before its first claim.
    pub async fn hello(&self, hello: &Hello) -> Result<Said<()>, CallError> {
        let request = self.post("/worker/v1/hello").json(hello);
        call::tell("say hello", request).await
    }

    /// Asks for a step and waits a while; the envelope's bytes, or nothing.
    pub async fn claim(&self) -> Result<Said<Option<Vec<u8>>>, CallError> {
        let what = "claim a step";
        let wait_ms = CLAIM_WAIT_MS_MAX;
        let request = self
            .post("/worker/v1/claim")
            .timeout(Duration::from_millis(wait_ms) + CLAIM_SLACK)
            .json(&Claim { wait_ms });
        match call::send(what, request).await? {
            Said::Granted(response) if response.status() == http::StatusCode::NO_CONTENT => {
                Ok(Said::Granted(None))
            }
            Said::Granted(response) => {
                let body = call::bounded(what, response, call::ANSWER_BYTES_MAX).await?;
                Ok(Said::Granted(Some(body)))
            }
            Said::Refused(refusal) => Ok(Said::Refused(refusal)),
        }
    }

    /// Everything that is said under one lease.
    pub fn lease(&self, step_id: &str, fence: i64) -> LeaseClient {
        LeaseClient {
            plane: self.clone(),
            base: format!("/worker/v1/leases/{step_id}/{fence}"),
        }
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .post(self.entrance.join(path))
            .timeout(CALL_TIMEOUT)
    }
}

/// The enrolment or the first connection failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The TLS settings.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The request.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What is said under one lease.
#[derive(Clone)]
pub struct LeaseClient {
    plane: ControlPlane,
    base: String,
}

impl LeaseClient {
    /// Extends the lease and says what is going on.
    pub async fn heartbeat(&self, phase: &str) -> Result<Said<HeartbeatAnswer>, CallError> {
        let phase = phase.to_owned();
        let request = self.plane.post(&self.at("heartbeat"));
        call::ask("extend the lease", request.json(&Heartbeat { phase })).await
    }

    /// Sends a piece of the log.
    pub async fn log(&self, chunk: &Chunk) -> Result<Said<LogAnswer>, CallError> {
        let path = self.at(&format!("log/{}", chunk.sequence));
        let mut url = self.plane.entrance.join(&path);
        url.query_pairs_mut()
            .append_pair("offset", &chunk.offset.to_string())
            .append_pair("sha256", &chunk.running.hex());
        let request = self.plane.http.put(url).timeout(CALL_TIMEOUT);
        call::ask("send the log", request.body(chunk.bytes.clone())).await
    }

    /// Uploads one file; `sequence` counts the artifacts of the lease.
    pub async fn artifact(
        &self,
        sequence: usize,
        claim: &ArtifactClaim,
        bytes: bytes::Bytes,
    ) -> Result<Said<()>, CallError> {
        let path = self.at(&format!("artifacts/{sequence}"));
        let mut url = self.plane.entrance.join(&path);
        url.query_pairs_mut()
            .append_pair("name", &claim.name)
            .append_pair("sha256", &claim.digest.hex());
        let request = self.plane.http.put(url).timeout(TRANSFER_TIMEOUT);
        call::tell("upload an artifact", request.body(bytes)).await
    }

    /// Fetches the source archive into this file; what does not have the promised length and
    /// digest is an error, and the file is not to be used.
    pub async fn source(&self, source: &Source, into: &Path) -> Result<Said<()>, CallError> {
        let what = "fetch the source archive";
        let request = self
            .plane
            .http
            .get(self.plane.entrance.join(&self.at("source")))
            .timeout(TRANSFER_TIMEOUT);
        let response = match call::send(what, request).await? {
            Said::Granted(response) => response,
            Said::Refused(refusal) => return Ok(Said::Refused(refusal)),
        };
        let file_error = |source| CallError::File { what, source };
        let mut file = tokio::fs::File::create(into).await.map_err(file_error)?;
        let mut hash = Sha256::new();
        let mut length = 0_u64;
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|source| CallError::Transport { what, source })?;
            length += piece.len() as u64;
            if length > source.bytes {
                return Err(CallError::TooLong {
                    what,
                    limit: source.bytes,
                });
            }
            hash.update(&piece);
            file.write_all(&piece).await.map_err(file_error)?;
        }
        file.flush().await.map_err(file_error)?;
        if Digest::from_bytes(hash.finalize().into()) != source.digest {
            return Err(CallError::Digest { what });
        }
        Ok(Said::Granted(()))
    }

    /// Asks for a right in the registry.
    pub async fn registry_token(
        &self,
        request: &RegistryTokenRequest,
    ) -> Result<Said<RegistryToken>, CallError> {
        let call = self.plane.post(&self.at("registry-token")).json(request);
        call::ask("get a right in the registry", call).await
    }

    /// Says how the work ended, signed.
    pub async fn report(&self, envelope: &[u8]) -> Result<Said<()>, CallError> {
        let call = self
            .plane
            .post(&self.at("report"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(envelope.to_vec());
        call::tell("report", call).await
    }

    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.base)
    }
}

fn client(tls: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    let mut headers = http::HeaderMap::new();
    headers.insert(
        http::HeaderName::from_static(PROTOCOL_HEADER_LOWER),
        http::HeaderValue::from_static(PROTOCOL_VERSION),
    );
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .default_headers(headers)
        .build()
}

/// `PROTOCOL_HEADER` as HTTP/2 and `HeaderName::from_static` write it.
const PROTOCOL_HEADER_LOWER: &str = "sallyport-protocol";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_contract_s() {
        assert!(contract::protocol::PROTOCOL_HEADER.eq_ignore_ascii_case(PROTOCOL_HEADER_LOWER));
    }
}
