//! A worker that plays a script: the real protocol over real TLS, without a container engine.

use anyhow::{Context as _, bail};
use contract::digest::Digest;
use contract::name::Name;
use contract::protocol::{
    Claim, Enrol, Enrolled, Heartbeat, HeartbeatAnswer, Hello, Isolation, JOB_PAYLOAD_TYPE, Job,
    LogAnswer, LogEnd, Outcome, PROTOCOL_HEADER, PROTOCOL_VERSION, REPORT_PAYLOAD_TYPE, Refusal,
    RefusalCode, Report, Times,
};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePrivateKey as _, LineEnding};
use reqwest::{Method, Response, StatusCode};
use std::time::Duration;

/// No request of a story takes longer.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What the entrance said to a request that it did not grant.
pub type Refused = (StatusCode, Option<RefusalCode>);

/// An enrolled worker.
pub struct ScriptedWorker {
    /// Its name.
    pub name: Name,
    /// Its key; a story may take another one's.
    pub key: SigningKey,
    http: reqwest::Client,
    base: String,
    envelope_key: VerifyingKey,
}

/// A log as it is sent.
#[derive(Default)]
pub struct Log {
    sequence: i64,
    bytes: Vec<u8>,
}

impl Log {
    /// The log's end, as a report declares it.
    pub fn end(&self) -> LogEnd {
        LogEnd {
            chunks: self.sequence,
            bytes: i64::try_from(self.bytes.len()).unwrap_or(i64::MAX),
            sha256: Digest::of(&self.bytes),
            dropped_bytes: 0,
        }
    }
}

/// Trades a token for an identity, as a worker's first start does.
pub async fn enrol(base: &str, token: &str, name: &str) -> anyhow::Result<ScriptedWorker> {
    let mut seed = [0; 32];
    // A name makes a key: stories repeat.
    seed[..16].copy_from_slice(&Digest::of(name.as_bytes()).as_bytes()[..16]);
    seed[31] = 1;
    enrol_with(base, token, name, SigningKey::from_slice(&seed)?).await
}

/// As [`enrol`], with this key.
pub async fn enrol_with(
    base: &str,
    token: &str,
    name: &str,
    key: SigningKey,
) -> anyhow::Result<ScriptedWorker> {
    let parts: Vec<&str> = token.split('.').collect();
    let [_, id, secret, _pin] = parts[..] else {
        bail!("not a token");
    };
    let pem = key.to_pkcs8_pem(LineEnding::LF)?;
    let pair = rcgen::KeyPair::from_pem(&pem)?;
    let name = Name::parse(name)?;
    let ask = Enrol {
        token: format!("{id}.{secret}"),
        name: name.clone(),
        signing_request: rcgen::CertificateParams::default()
            .serialize_request(&pair)?
            .pem()?,
    };
    // The pin is the real worker's business; this one is on the same host as its server.
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let response = http
        .post(format!("{base}/worker/v1/enrol"))
        .header(PROTOCOL_HEADER, PROTOCOL_VERSION)
        .json(&ask)
        .send()
        .await?;
    if !response.status().is_success() {
        bail!("{:?}", refusal(response).await);
    }
    let enrolled: Enrolled = response.json().await?;
    let identity = format!("{}{}", *pem, enrolled.certificate);
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .tls_certs_only([reqwest::Certificate::from_pem(enrolled.ca.as_bytes())?])
        .identity(reqwest::Identity::from_pem(identity.as_bytes())?)
        .build()?;
    let envelope_key = VerifyingKey::from_public_key_pem(&enrolled.envelope_key)?;
    Ok(ScriptedWorker {
        name,
        key,
        http,
        base: base.to_owned(),
        envelope_key,
    })
}

impl ScriptedWorker {
    /// Says hello with so many slots, as after a start.
    pub async fn hello(&self, slots: u32) -> Result<(), Refused> {
        self.claims_level(slots, "docker-runc").await
    }

    /// As [`ScriptedWorker::hello`], with this level of isolation.
    pub async fn claims_level(&self, slots: u32, level: &str) -> Result<(), Refused> {
        let isolation = Isolation {
            level: level.to_owned(),
            rules: Vec::new(),
        };
        let hello = Hello {
            version: "0".to_owned(),
            isolation,
            slots,
            restarted: true,
        };
        self.send(
            Method::POST,
            "hello",
            serde_json::to_vec(&hello).unwrap_or_default(),
        )
        .await
        .map(|_| ())
    }

    /// Claims; the job's envelope is checked as a worker has to.
    pub async fn claim(&self, wait_ms: u64) -> Result<Option<Job>, Refused> {
        let claim = serde_json::to_vec(&Claim { wait_ms }).unwrap_or_default();
        let response = self.send(Method::POST, "claim", claim).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let envelope = response.bytes().await.map_err(broken)?;
        let verified = evidence::dsse::verify(&envelope, JOB_PAYLOAD_TYPE, &[self.envelope_key]);
        let payload = verified.map_err(|_| (StatusCode::OK, None))?.payload;
        serde_json::from_slice(&payload)
            .map(Some)
            .map_err(|_| (StatusCode::OK, None))
    }

    /// Claims until a step comes.
    pub async fn next_step(&self) -> anyhow::Result<Job> {
        let claimed = self
            .claim(20_000)
            .await
            .map_err(|r| anyhow::anyhow!("{r:?}"))?;
        claimed.context("no step came")
    }

    /// Sends a heartbeat.
    pub async fn beats(&self, job: &Job) -> Result<HeartbeatAnswer, Refused> {
        let beat = Heartbeat {
            phase: "running".to_owned(),
        };
        let beat = serde_json::to_vec(&beat).unwrap_or_default();
        let response = self
            .send(Method::POST, &lease(job, "heartbeat"), beat)
            .await?;
        response.json().await.map_err(broken)
    }

    /// Fetches the source archive.
    pub async fn source(&self, job: &Job) -> Result<Vec<u8>, Refused> {
        let response = self
            .send(Method::GET, &lease(job, "source"), Vec::new())
            .await?;
        Ok(response.bytes().await.map_err(broken)?.to_vec())
    }

    /// Prints a piece of log.
    pub async fn prints(&self, job: &Job, log: &mut Log, text: &str) -> Result<LogAnswer, Refused> {
        self.prints_bytes(job, log, text.as_bytes()).await
    }

    /// As [`ScriptedWorker::prints`], whatever the bytes are.
    pub async fn prints_bytes(
        &self,
        job: &Job,
        log: &mut Log,
        bytes: &[u8],
    ) -> Result<LogAnswer, Refused> {
        let offset = log.bytes.len();
        log.bytes.extend_from_slice(bytes);
        let sha256 = Digest::of(&log.bytes).hex();
        let path = format!("log/{}?offset={offset}&sha256={sha256}", log.sequence);
        let response = self
            .send(Method::PUT, &lease(job, &path), bytes.to_vec())
            .await?;
        log.sequence += 1;
        response.json().await.map_err(broken)
    }

    /// Uploads an artifact.
    pub async fn uploads(
        &self,
        job: &Job,
        sequence: i64,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        let sha256 = Digest::of(bytes).hex();
        let path = format!("artifacts/{sequence}?name={name}&sha256={sha256}");
        self.send(Method::PUT, &lease(job, &path), bytes.to_vec())
            .await
            .map(|_| ())
    }

    /// Reports the end of a step.
    pub async fn reports(&self, job: &Job, log: &Log, outcome: Outcome) -> Result<(), Refused> {
        self.sends(job, &report(job, log, outcome)).await
    }

    /// Signs and sends a report.
    pub async fn sends(&self, job: &Job, report: &Report) -> Result<(), Refused> {
        let payload = serde_json::to_vec(report).unwrap_or_default();
        let envelope = evidence::dsse::sign(REPORT_PAYLOAD_TYPE, &payload, &self.key);
        let envelope = envelope.map_err(|_| (StatusCode::OK, None))?;
        let envelope = serde_json::to_vec(&envelope).unwrap_or_default();
        self.send(Method::POST, &lease(job, "report"), envelope)
            .await
            .map(|_| ())
    }

    /// Does a whole step that passes.
    pub async fn passes(&self, job: &Job) -> anyhow::Result<()> {
        let wrong = |refused: Refused| anyhow::anyhow!("{refused:?}");
        let source = self.source(job).await.map_err(wrong)?;
        anyhow::ensure!(
            Digest::of(&source) == job.source.digest,
            "another archive came"
        );
        let mut log = Log::default();
        self.prints(job, &mut log, "all is well\n")
            .await
            .map_err(wrong)?;
        self.reports(job, &log, Outcome::Passed)
            .await
            .map_err(wrong)
    }

    /// Any request at the worker entrance; the status that it is answered with.
    pub async fn status_of(&self, method: Method, path: &str) -> anyhow::Result<StatusCode> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.header(PROTOCOL_HEADER, PROTOCOL_VERSION).body("{}");
        Ok(request.send().await?.status())
    }

    /// Any request of the protocol.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response, Refused> {
        let request = self
            .http
            .request(method, format!("{}/worker/v1/{path}", self.base))
            .header(PROTOCOL_HEADER, PROTOCOL_VERSION)
            .body(body);
        let response = request.send().await.map_err(broken)?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response).await)
        }
    }
}

/// A report of a step that ran in no container at all.
pub fn report(job: &Job, log: &Log, outcome: Outcome) -> Report {
    Report {
        step_id: job.step_id.clone(),
        fence: job.fence,
        outcome,
        log: log.end(),
        artifacts: Vec::new(),
        images: Vec::new(),
        tools: Vec::new(),
        isolation: isolation(),
        times: Times {
            claimed_at: 1,
            started_at: Some(2),
            first_output_at: Some(3),
            ended_at: 4,
        },
        network: false,
        complaints: Vec::new(),
    }
}

fn isolation() -> Isolation {
    Isolation {
        level: "docker-runc".to_owned(),
        rules: Vec::new(),
    }
}

fn lease(job: &Job, path: &str) -> String {
    format!("leases/{}/{}/{path}", job.step_id, job.fence)
}

async fn refusal(response: Response) -> Refused {
    let status = response.status();
    let refusal = response.json::<Refusal>().await.ok();
    (status, refusal.map(|refusal| refusal.code))
}

/// The connection broke: there is no status.
fn broken(_: reqwest::Error) -> Refused {
    (StatusCode::BAD_GATEWAY, None)
}
