//! The worker protocol, version 1: what orchestrator and worker say to each other.
//!
//! HTTPS only, the worker always asks. Every write under a lease carries the step and the fence, so
//! that it is idempotent by (step, fence, sequence) and refused when the lease has passed on.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /worker/v1/enrol` [`Enrol`] (TLS, no client certificate) | [`Enrolled`] |
//! | `POST /worker/v1/hello` [`Hello`] | 204, or [`Refusal`] |
//! | `POST /worker/v1/claim` [`Claim`] (waits up to `wait_ms`) | a DSSE envelope over [`Job`], or 204 |
//! | `POST …/leases/<step>/<fence>/heartbeat` [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | `PUT …/leases/<step>/<fence>/log/<sequence>?offset=<n>&sha256=<running hex>` bytes | [`LogAnswer`] |
//! | `PUT …/leases/<step>/<fence>/artifacts/<sequence>?name=<name>&sha256=<hex>` bytes | 204 |
//! | `GET …/leases/<step>/<fence>/source` | the source archive (ustar) |
//! | `POST …/leases/<step>/<fence>/registry-token` [`RegistryTokenRequest`] | [`RegistryToken`] |
//! | `POST …/leases/<step>/<fence>/report` a DSSE envelope over [`Report`] | 204 |
//!
//! A chunk's `sha256` is the running hash: over the whole log up to the end of this chunk. The log
//! is raw bytes; a line that begins with [`LOG_SECTION_PREFIX`] opens a section with a title, under
//! which a page folds what follows. A step may print such a line too: it is a heading, no proof.
//!
//! Unknown fields are ignored; an unknown value of an enum is `Unsupported` (DECISIONS 11). A write
//! under a lease that is gone answers 409 with [`Refusal`] `lease-lost`.

use crate::digest::{CommitId, Digest};
use crate::image::{ImageRef, Repository};
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The header by which both sides name the protocol's version.
pub const PROTOCOL_HEADER: &str = "Sallyport-Protocol";
/// The version spoken here.
pub const PROTOCOL_VERSION: &str = "1";
/// Payload type of the envelope around a [`Job`].
pub const JOB_PAYLOAD_TYPE: &str = "application/vnd.sallyport.job.v1+json";
/// Payload type of the envelope around a [`Report`].
pub const REPORT_PAYLOAD_TYPE: &str = "application/vnd.sallyport.report.v1+json";
/// The longest that a claim may be kept waiting: shorter than the usual idle limit of a proxy.
pub const CLAIM_WAIT_MS_MAX: u64 = 30_000;
/// One log chunk: large enough that 200 MB are 800 requests, small enough to repeat cheaply.
pub const LOG_CHUNK_BYTES_MAX: usize = 256 * 1024;
/// A log line that begins so opens a section; the rest of the line is its title.
pub const LOG_SECTION_PREFIX: &str = "::section:: ";
/// The log of one step; what comes after is counted, declared and dropped.
pub const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// One artifact of a step.
pub const ARTIFACT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Artifacts of one step.
pub const ARTIFACTS_MAX: usize = 200;
/// A report with its envelope.
pub const REPORT_BYTES_MAX: usize = 1024 * 1024;

/// A worker asks to be let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// The single-use token, `<id>.<secret>` (the pin of the CA is not sent).
    pub token: String,
    /// The name under which the worker is known.
    pub name: Name,
    /// A PKCS#10 request, PEM, P-256; the key also signs the worker's reports.
    pub signing_request: String,
}

/// The worker is let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// The worker's client certificate, PEM.
    pub certificate: String,
    /// The CA's certificate, PEM.
    pub ca: String,
    /// The instance that it now belongs to.
    pub instance_id: String,
    /// The public half of the envelope key (P-256 SPKI, PEM), by which jobs are checked.
    pub envelope_key: String,
}

/// Said once at each start of a worker, before its first claim: what it is and what it holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// The worker program's version.
    pub version: String,
    /// What the self-test found.
    pub isolation: Isolation,
    /// How many steps it works on at once.
    pub slots: u32,
    /// The worker has just started and holds nothing: leases still open in its name are ended as
    /// `infrastructure: worker restarted`.
    pub restarted: bool,
}

/// How well a worker's containers are held, as measured by its self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// `docker-runc-userns`, `docker-runc`, `docker-gvisor`, …: part of `builder.id`.
    pub level: String,
    /// Every rule of the sandbox with what the self-test saw.
    pub rules: Vec<RuleResult>,
}

/// One rule of the sandbox, tried from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The rule's name.
    pub rule: String,
    /// Whether it held.
    pub held: bool,
    /// What was seen.
    pub seen: String,
}

/// A worker asks for a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// How long the orchestrator may wait for a step to become ready; at most
    /// [`CLAIM_WAIT_MS_MAX`].
    pub wait_ms: u64,
}

/// One leased step, with everything that is needed to work on it and nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The instance whose envelope key signed this.
    pub instance_id: String,
    /// The worker that it is for.
    pub worker: Name,
    /// The step.
    pub step_id: String,
    /// The lease's fencing number.
    pub fence: i64,
    /// The lease ends at this time (µs since 1970 UTC, the orchestrator's clock) unless extended.
    pub lease_ends_at: i64,
    /// Ask for an extension this often.
    pub heartbeat_ms: u64,
    /// The step as a whole may take this long, counted by the worker from the claim; the
    /// orchestrator counts as well and has the last word.
    pub timeout_ms: u64,
    /// The project's name.
    pub project: Name,
    /// The run's number in the project.
    pub run_number: i64,
    /// The step's name.
    pub step: Name,
    /// The archive with the commit's files, which is unpacked at `/work/src`.
    pub source: Source,
    /// Environment of the step's own container: only text from outside, never a secret.
    pub env: BTreeMap<String, String>,
    /// What the step's containers may use together.
    pub resources: Resources,
    /// What to do.
    pub work: Work,
    /// Files below `/work/src` to keep, as glob patterns.
    pub artifacts: Vec<String>,
    /// JUnit reports below `/work/src`, as glob patterns; kept as artifacts named `junit/<path>`.
    pub junit: Vec<String>,
}

/// The source archive of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The commit.
    pub commit: CommitId,
    /// SHA-256 of the archive.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// The commit's time, seconds since 1970 UTC (`SOURCE_DATE_EPOCH`).
    pub commit_time: i64,
}

/// Limits of one step's containers together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU time in thousandths of a CPU.
    pub cpu_milli: u64,
    /// Memory; the work area counts as memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Size of the work area `/work`.
    pub work_bytes: u64,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// A command in an image.
    Run {
        /// The image.
        image: ImageRef,
        /// The command, in exec form.
        command: Vec<String>,
    },
    /// Static analysers over the source, one after the other. The step passed, as far as the worker
    /// can say, when each of them ran to its end, whatever it found; how each ended is told in
    /// [`Report::tools`]. A scanner for secrets redacts (`gitleaks --redact`): its report is stored.
    Analyze {
        /// The tools; each one's SARIF is kept as artifact `sarif/<name>.sarif`.
        tools: Vec<Tool>,
    },
    /// An image from a Dockerfile.
    Build {
        /// The Dockerfile's path in the source.
        dockerfile: String,
        /// The context's folder in the source (`.` for all of it).
        context: String,
        /// Where to push what came out.
        repository: Repository,
        /// Patterns of the images that may be named (`registry/name/*`).
        known_registries: Vec<String>,
    },
    /// SBOM and secrets of an image.
    Scan {
        /// The image, in quarantine, by the digest that the orchestrator observed.
        image: ImageRef,
        /// Makes the SBOM, kept as artifact `sbom/cyclonedx.json`.
        sbom: Tool,
        /// Looks for secrets in the layers; its SARIF is kept as artifact `sarif/<name>.sarif`.
        secrets: Tool,
    },
    /// The built image itself, started, and a probe against it.
    Test {
        /// The image under test, by the digest that the orchestrator observed.
        image: ImageRef,
        /// The host name under which the image under test is met in the pod.
        name: Name,
        /// Environment of the image under test.
        env: BTreeMap<String, String>,
        /// When the image under test is ready.
        ready: Ready,
        /// Further containers in the pod.
        services: Vec<Service>,
        /// The image that holds the probe.
        probe: ImageRef,
        /// The probe's command, in exec form.
        command: Vec<String>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unsupported,
}

/// A tool that the instance provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `hadolint`, `gitleaks`, `syft`.
    pub name: String,
    /// Its image.
    pub image: ImageRef,
}

/// A container beside the image under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its host name in the pod.
    pub name: Name,
    /// Its image.
    pub image: ImageRef,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// The uid that it runs as; never 0.
    pub user: u32,
    /// Folders that it writes to, each a sized tmpfs.
    pub writable: Vec<String>,
    /// When it is ready.
    pub ready: Ready,
}

/// How readiness is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What is asked.
    pub probe: ReadyProbe,
    /// How long it may take.
    pub within_ms: u64,
}

/// One question, asked every 100 ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReadyProbe {
    /// A GET that answers 2xx or 3xx.
    Http {
        /// `http://<name>:<port>/<path>`.
        url: String,
    },
    /// A port that accepts.
    Tcp {
        /// The port on loopback.
        port: u16,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unsupported,
}

/// The worker is still at work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What it does at the moment, for people (`fetching image`, `running`).
    pub phase: String,
}

/// The lease goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The lease's new end (µs since 1970 UTC).
    pub lease_ends_at: i64,
    /// The step is to be ended; the report's outcome is then `cancelled`.
    pub cancel: bool,
}

/// What is durable of a step's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogAnswer {
    /// The next sequence number expected; everything below is durable.
    pub next_sequence: i64,
    /// The next offset expected.
    pub next_offset: i64,
}

/// A worker asks for a right in the registry, right before it uses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegistryTokenRequest {
    /// The repository.
    pub repository: Repository,
    /// Whether it wants to push (only a `build` step's own quarantine repository) or only to pull.
    pub push: bool,
}

/// A bearer token of the registry.
#[derive(Clone, Serialize, Deserialize)]
pub struct RegistryToken {
    /// The ready bearer.
    pub token: String,
    /// When it ends (µs since 1970 UTC).
    pub expires_at: i64,
}

/// The end of the work on a step, as the worker says it: a claim, checked by the orchestrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The step.
    pub step_id: String,
    /// The fence of the lease under which the work was done.
    pub fence: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The whole log.
    pub log: LogEnd,
    /// What was uploaded.
    pub artifacts: Vec<ArtifactClaim>,
    /// What was pushed.
    pub images: Vec<ImageClaim>,
    /// How each tool ended.
    pub tools: Vec<ToolEnd>,
    /// What the containers were held by.
    pub isolation: Isolation,
    /// The worker's own times, µs since 1970 UTC: claims, for the timeline.
    pub times: Times,
    /// Whether any container of the step had a network.
    pub network: bool,
    /// Complaints about what the commit holds (a Dockerfile), already rendered for people.
    pub complaints: Vec<String>,
}

/// How the work on a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// The work was done and nothing failed as far as the worker can say.
    Passed,
    /// The step's own work failed.
    Failed {
        /// In words, for people (`exit code 1`, `out of memory`).
        reason: String,
        /// The exit code of the container that decided.
        exit_code: Option<i64>,
    },
    /// Refused before anything was executed.
    Refused {
        /// Why.
        reason: String,
    },
    /// Ended because the orchestrator asked for it.
    Cancelled,
    /// It took longer than it may.
    Deadline,
    /// Not the step's fault: it may be repeated.
    Infrastructure {
        /// What went wrong (`registry …`, `worker restarted`).
        what: String,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unsupported,
}

/// The end of a step's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// How many chunks were sent.
    pub chunks: i64,
    /// How many bytes were sent.
    pub bytes: i64,
    /// SHA-256 over all of them.
    pub sha256: Digest,
    /// Bytes that were printed beyond [`LOG_BYTES_MAX`] and are nowhere.
    pub dropped_bytes: i64,
}

/// One uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactClaim {
    /// `sarif/gitleaks.sarif`, `junit/reports/api.xml`, `files/dist/x.tar`.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// One pushed image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageClaim {
    /// The image's name in the project (the step's name).
    pub name: Name,
    /// Where it lies and what the engine said its digest is.
    pub image: ImageRef,
}

/// How one tool ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolEnd {
    /// The tool's name.
    pub name: String,
    /// Its exit code; none when it was ended by a signal or a limit.
    pub exit_code: Option<i64>,
    /// What went wrong, in words.
    pub problem: Option<String>,
}

/// The worker's own times, µs since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The lease came in.
    pub claimed_at: i64,
    /// The step's first container started.
    pub started_at: Option<i64>,
    /// The first byte came out of it.
    pub first_output_at: Option<i64>,
    /// The last container ended.
    pub ended_at: i64,
}

/// Why the worker entrance said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A stable word, kebab-case.
    pub code: RefusalCode,
    /// In words, with the way to mend it.
    pub message: String,
}

/// The stable words of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The lease has passed on, or the step has ended: stop the work, say nothing more.
    LeaseLost,
    /// The message is not what was agreed.
    BadMessage,
    /// A log chunk or an artifact that does not fit what is stored.
    OutOfOrder,
    /// Larger than it may be.
    TooLarge,
    /// The worker has no right to this.
    NotPermitted,
    /// The enrolment token is unknown, used or over.
    BadToken,
    /// The worker is to say hello first.
    NoHello,
    /// Another protocol version.
    ProtocolVersion,
    /// A word that this version does not know.
    #[serde(other)]
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_from_a_newer_program_is_still_read() {
        let outcome: Outcome = serde_json::from_str(r#"{"kind":"postponed","until":5}"#).unwrap();
        assert_eq!(outcome, Outcome::Unsupported);
        let refusal: Refusal =
            serde_json::from_str(r#"{"code":"moon-phase","message":"m","more":1}"#).unwrap();
        assert_eq!(refusal.code, RefusalCode::Unsupported);
    }
}
