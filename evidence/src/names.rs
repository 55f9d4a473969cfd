//! Every URI and payload type of our own stands here (DECISIONS 9), beside those of others that we
//! write. Each instance serves the document of a name of ours at `/docs/names/<kind>/<name>`.

/// SLSA build type of a run.
pub const BUILD_TYPE: &str = "urn:sallyport:build-type:run:v1";

/// Payload types of a job, as the server hands it to a worker, and of a report, as the worker gives it.
pub use contract::protocol::{JOB_PAYLOAD_TYPE as JOB, REPORT_PAYLOAD_TYPE as REPORT};
/// Payload type of an approval's statement.
pub const APPROVAL: &str = "application/vnd.sallyport.approval.v1+json";
/// Payload type of a version of project settings.
pub const SETTINGS: &str = "application/vnd.sallyport.settings.v1+json";
/// Payload type of a gate's decision.
pub const DECISION: &str = "application/vnd.sallyport.decision.v1+json";

/// Payload type, and artifact type, of an in-toto statement (in-toto attestation framework v1).
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// `_type` of an in-toto statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Predicate type of SLSA provenance v1.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// Predicate type of a CycloneDX SBOM.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";

/// Media type of a DSSE envelope in a registry (as cosign attaches it).
pub const DSSE_LAYER: &str = "application/vnd.dsse.envelope.v1+json";
/// Media type of a cosign payload ("simple signing").
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// `builder.id` of an instance at a level of isolation.
pub fn builder_id(public_url: &str, level: &str) -> String {
    format!("{public_url}/builders/{level}@v1")
}
